import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcp.backup_stores import BackupStore, BucketStore, DirectoryStore, Missing, open_store
from kcp.output import Refused
from tests.kcp.s3_server import ACCESS, SECRET, s3_server


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackupStore]:
    if request.param == "directory":
        yield open_store(str(tmp_path / "new" / "backups"))
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "eu-test-1")
    with s3_server() as (url, _, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield open_store("s3://bucket/some/where")


def put(store: BackupStore, key: str, content: bytes) -> None:
    store.put(key, io.BytesIO(content), len(content))


def test_what_is_put_is_there(store: BackupStore) -> None:
    assert list(store.list("files/")) == []
    put(store, "files/ab/abc", b"content")
    put(store, "sets/1.json", b"{}")
    assert [(entry.key, entry.size) for entry in store.list("files/")] == [("files/ab/abc", 7)]
    assert b"".join(store.get("files/ab/abc")) == b"content"
    put(store, "files/ab/abc", b"other")
    assert b"".join(store.get("files/ab/abc")) == b"other"
    assert next(store.list("sets/")).time.tzinfo is not None


def test_what_is_not_there(store: BackupStore) -> None:
    with pytest.raises(Missing):
        list(store.get("files/none"))
    store.delete("files/none")


def test_what_is_deleted_is_gone(store: BackupStore) -> None:
    put(store, "files/a", b"x")
    store.delete("files/a")
    assert list(store.list("files/")) == []


def test_files_are_private_and_written_whole(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "b")
    put(store, "files/ab/abc", b"content")
    assert (tmp_path / "b" / "files" / "ab" / "abc").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "b" / "files" / "ab").stat().st_mode & 0o777 == 0o700

    class Torn(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(Refused, match="Input/output"):
        store.put("files/ab/torn", Torn(), 3)
    assert [entry.key for entry in store.list("files/")] == ["files/ab/abc"]
    assert [path.name for path in (tmp_path / "b" / "files" / "ab").iterdir()] == ["abc"]


def test_a_store_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    monkeypatch.setenv("AWS_REGION", "eu-test-1")
    with s3_server() as (url, _, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(Refused, match="SignatureDoesNotMatch") as refused:
            put(open_store("s3://bucket"), "a", b"x")
        assert "wrong" not in refused.value.message


def test_places_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="names no bucket"):
        open_store("s3:///x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    with pytest.raises(Refused, match="AWS_ENDPOINT_URL"):
        open_store("s3://bucket")


def test_a_bucket_may_be_a_prefix_or_whole() -> None:
    assert isinstance(BucketStore("b", "", None), BucketStore)

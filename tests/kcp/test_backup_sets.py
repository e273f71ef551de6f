import json
from datetime import UTC, datetime, timedelta

import pytest

from kcp.backup_sets import (
    BackupSet,
    DamagedSet,
    ShardPart,
    StoredFile,
    decode,
    encode,
    file_key,
    outlived,
    set_id,
    unused,
)

START = datetime(2026, 11, 30, 12, tzinfo=UTC)


def made(hours: int = 0, *digests: str) -> BackupSet:
    time = START + timedelta(hours=hours)
    files = tuple(StoredFile(f"{digest}.sst", 3, digest) for digest in digests)
    return BackupSet(set_id(time), time, "id", 1, 2, 7, "0.1", (ShardPart(0, 0, ()), ShardPart(1, 99, files)))


def test_a_manifest_comes_back() -> None:
    found = made(0, "ab", "cd")
    assert decode("k", encode(found)) == found
    assert found.id == "20261130T120000Z" and found.size == 6
    assert file_key("abcd") == "files/ab/abcd"


def test_a_changed_manifest_is_noticed() -> None:
    document = json.loads(encode(made(0, "ab")))
    document["parts"][1]["files"] = []
    for raw in (json.dumps(document).encode(), encode(made())[:-20], b"[]", b"{}"):
        with pytest.raises(DamagedSet, match="k is damaged"):
            decode("k", raw)


def test_a_newer_format_is_told() -> None:
    document = {**json.loads(encode(made())), "format": 2}
    with pytest.raises(DamagedSet, match="newer kcp"):
        decode("k", json.dumps(document).encode())


@pytest.mark.parametrize(
    ("keep", "keep_for", "gone"),
    [
        (None, None, []),
        (2, None, [0, 1]),
        (9, None, []),
        (None, timedelta(hours=1), [0, 1]),
        (3, timedelta(hours=1), [0]),
        (None, timedelta(seconds=1), [0, 1, 2]),  # the newest always stays
    ],
)
def test_what_is_kept(keep: int | None, keep_for: timedelta | None, gone: list[int]) -> None:
    sets = [made(hours) for hours in (2, 0, 3, 1)]
    found = outlived(
        sets, START + timedelta(hours=3, seconds=2 if keep_for == timedelta(seconds=1) else 0), keep, keep_for
    )
    assert [each.id for each in found] == [made(hours).id for hours in gone]


def test_content_that_no_set_names() -> None:
    assert unused(["files/ab/ab", "files/xx/xx"], [made(0, "ab")]) == ["files/xx/xx"]

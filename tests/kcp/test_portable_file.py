import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcp.output import Refused
from kcp.portable_file import Entry, Header, entries_by_type, read_file, write_file

HEADER = Header("root:a", "77", "2026-11-30T12:00:00+00:00")
ENTRIES = [
    Entry("configmaps", "v1", "ConfigMap", True, False, {"metadata": {"name": "ä"}}),
    Entry("secrets", "v1", "Secret", True, False, {"metadata": {"name": "s"}}),
    Entry("configmaps", "v1", "ConfigMap", True, False, {"metadata": {"name": "b"}}),
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.kcp"
    assert write_file(path, HEADER, ENTRIES) == 3
    assert read_file(path) == (HEADER, ENTRIES)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [(name, len(found)) for name, found in entries_by_type(ENTRIES)] == [("configmaps", 2), ("secrets", 1)]


def test_an_unfinished_file_is_not_left_behind(tmp_path: Path) -> None:
    def failing() -> Iterator[Entry]:
        yield ENTRIES[0]
        raise Refused("the server is gone")

    (tmp_path / "a.kcp").write_text("old")
    with pytest.raises(Refused, match="gone"):
        write_file(tmp_path / "a.kcp", HEADER, failing())
    assert [path.name for path in tmp_path.iterdir()] == ["a.kcp"] and (tmp_path / "a.kcp").read_text() == "old"
    with pytest.raises(Refused, match="cannot write"):
        write_file(tmp_path / "none" / "a.kcp", HEADER, [])


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.kcp"
    write_file(path, HEADER, ENTRIES)
    whole = gzip.decompress(path.read_bytes())
    lines = whole.splitlines(keepends=True)
    for content in (
        gzip.compress(whole.replace(b'"s"', b'"t"')),
        gzip.compress(b"".join(lines[:-1])),
        gzip.compress(b"".join(lines[:2] + lines[3:])),
        path.read_bytes()[:-12],
        gzip.compress(b""),
        gzip.compress(b'{"a": 1}\n{"b": 2}\n'),
        b"no gzip",
    ):
        (tmp_path / "bad.kcp").write_bytes(content)
        with pytest.raises(Refused):
            read_file(tmp_path / "bad.kcp")
    newer = whole.replace(b'"format":1', b'"format":2')
    (tmp_path / "bad.kcp").write_bytes(gzip.compress(newer))
    with pytest.raises(Refused, match="newer kcp"):
        read_file(tmp_path / "bad.kcp")
    with pytest.raises(Refused, match="there is no file"):
        read_file(tmp_path / "missing")

import datetime
from pathlib import Path

from kcpfront.audit.log_file import LogFile, Rotation

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime.datetime:
        self.now += datetime.timedelta(hours=12)
        return self.now


def full(rotation: Rotation, path: Path, files: int) -> list[str]:
    log = LogFile(str(path), rotation, Clock())
    line = b"x" * (600 << 10) + b"\n"
    for _ in range(files):
        log.write([line])
    return sorted(each.name for each in path.parent.iterdir())


def test_records_are_lines_of_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b'{"torn')
    path.chmod(0o644)
    log = LogFile(str(path))
    log.write([b"1\n", b"2\n"])
    log.write([b"3\n"])
    assert path.read_bytes() == b'{"torn\n1\n2\n3\n'
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_file_is_renamed_with_the_time(tmp_path: Path) -> None:
    names = full(Rotation(megabytes=1), tmp_path / "audit.log", 3)
    assert names[0] == "audit-2026-01-01T12-00-00.000000.log" and names[-1] == "audit.log" and len(names) == 3
    assert all((tmp_path / name).stat().st_mode & 0o777 == 0o600 for name in names)


def test_a_batch_is_divided_where_the_file_is_full(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path / "audit.log"), Rotation(megabytes=1), Clock())
    log.write([b"%d" % n + b"x" * (400 << 10) + b"\n" for n in range(5)])
    sizes = [each.stat().st_size for each in tmp_path.iterdir()]
    assert len(sizes) == 3 and max(sizes) <= 1 << 20


def test_only_so_many_are_kept_and_only_so_long(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "audit-mine.log").touch()
    assert len(full(Rotation(megabytes=1, backups=2), tmp_path / "a" / "audit.log", 6)) == 2 + 2
    assert len(full(Rotation(megabytes=1, days=1), tmp_path / "b" / "audit.log", 9)) < 5

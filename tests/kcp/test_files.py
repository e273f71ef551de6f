import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcp.files import make_private_directory, write_private


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("umask")
def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    make_private_directory(tmp_path / "new")
    write_private(tmp_path / "new" / "key", b"secret")
    assert mode(tmp_path / "new") == 0o700
    assert mode(tmp_path / "new" / "key") == 0o600
    assert (tmp_path / "new" / "key").read_bytes() == b"secret"


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    make_private_directory(tmp_path)
    assert mode(tmp_path) == 0o750


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_private_directory(tmp_path / "file")


def test_replacing_narrows_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert (mode(path), path.read_bytes()) == (0o600, b"new")


def test_a_full_disk_leaves_the_old_content_and_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    write_private(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_private(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_leftover_of_a_crash_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".key.new").write_bytes(b"half")
    write_private(tmp_path / "key", b"whole")
    assert (tmp_path / "key").read_bytes() == b"whole"

import hashlib
from pathlib import Path

import pytest

from kcpshard.storage import checkpoints
from kcpshard.storage.checkpoints import Checkpoints, NoSuchCheckpoint, TooManyCheckpoints


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(directory: str) -> None:
    Path(directory).mkdir()
    (Path(directory) / "1.sst").write_bytes(b"x" * (checkpoints.PIECE_BYTES + 1))
    (Path(directory) / "CURRENT").write_bytes(b"MANIFEST")


@pytest.fixture
def found(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", make, Clock())


def test_files_are_told_and_read(found: Checkpoints) -> None:
    id_, files = found.open()
    assert [(file.name, file.size) for file in files] == [("1.sst", checkpoints.PIECE_BYTES + 1), ("CURRENT", 8)]
    pieces = list(found.pieces(id_, "1.sst"))
    assert len(pieces) == 2 and hashlib.sha256(b"".join(pieces)).digest() == files[0].sha256


def test_nothing_else_is_read(found: Checkpoints, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    id_, _ = found.open()
    for name in ("../../secret", "none", "..", ""):
        with pytest.raises(NoSuchCheckpoint):
            list(found.pieces(id_, name))
    with pytest.raises(NoSuchCheckpoint):
        list(found.pieces("another", "CURRENT"))


def test_a_closed_one_is_gone(found: Checkpoints, tmp_path: Path) -> None:
    id_, _ = found.open()
    found.close(id_)
    found.close(id_)
    assert not list((tmp_path / "checkpoints").iterdir())
    with pytest.raises(NoSuchCheckpoint):
        list(found.pieces(id_, "CURRENT"))


def test_few_at_a_time_and_forgotten_ones_go(tmp_path: Path) -> None:
    clock = Clock()
    found = Checkpoints(tmp_path / "c", make, clock)
    first, _ = found.open()
    found.open()
    with pytest.raises(TooManyCheckpoints):
        found.open()
    clock.now = checkpoints.KEPT_S
    list(found.pieces(first, "CURRENT"))
    clock.now += 1
    found.open()  # the second one has not been read for an hour
    assert list(found.pieces(first, "CURRENT"))


def test_one_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing(directory: str) -> None:
        make(directory)
        raise OSError(28, "No space left on device")

    found = Checkpoints(tmp_path / "c", failing, Clock())
    for _ in range(5):
        with pytest.raises(OSError, match="No space"):
            found.open()
    assert not list((tmp_path / "c").iterdir())


def test_what_a_dead_process_left_is_gone(tmp_path: Path) -> None:
    (tmp_path / "c" / "old").mkdir(parents=True)
    Checkpoints(tmp_path / "c", make, Clock())
    assert not (tmp_path / "c").exists()


def test_content_that_is_known_is_not_read_again(found: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest = hashlib.file_digest

    def counted(file: object, name: str) -> object:
        read.append(Path(file.name).name)  # type: ignore[attr-defined]
        return digest(file, name)  # type: ignore[call-overload]

    monkeypatch.setattr(hashlib, "file_digest", counted)
    found._known[("1.sst", 1, 1)] = b""
    id_, files = found.open()
    again = found._described(found._open[id_].path / "1.sst")
    assert again == files[0] and read.count("1.sst") == 1

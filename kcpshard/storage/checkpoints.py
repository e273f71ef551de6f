"""Checkpoints for backups: made beside the data, read file by file, gone when closed or forgotten.

A checkpoint is hard links of RocksDB's files, which never change, and so costs no space until compaction would have
removed them. Everything here blocks: it is called on a thread. What a file's content is called (SHA-256) is remembered
by name, size and time, so that of a large shard only new files are read again.
"""

import hashlib
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from kcpshard import failpoints

PIECE_BYTES = 256 << 10
KEPT_S = 3600.0  # of one that nobody reads from any more
MOST = 2  # at a time: each keeps old files on the disk
_KNOWN = 65_536


class NoSuchCheckpoint(Exception):
    """It was closed, or forgotten."""


class TooManyCheckpoints(Exception):
    """Others are being read."""


class CheckpointFile(NamedTuple):
    name: str
    size: int
    sha256: bytes


class _Open:
    __slots__ = ("path", "used")

    def __init__(self, path: Path, used: float) -> None:
        self.path, self.used = path, used


class Checkpoints:
    """`make` puts one into a directory that does not exist yet. `now` are seconds that only grow."""

    def __init__(self, directory: Path, make: Callable[[str], None], now: Callable[[], float]) -> None:
        self._directory, self._make, self._now = directory, make, now
        self._open: dict[str, _Open] = {}
        self._known: dict[tuple[str, int, int], bytes] = {}
        self._lock = threading.Lock()
        # Of a process that died while one was being read.
        shutil.rmtree(directory, ignore_errors=True)

    def open(self) -> tuple[str, list[CheckpointFile]]:
        """Its id and its files. Raises OSError, TooManyCheckpoints."""
        with self._lock:
            self._forget_unused()
            if len(self._open) >= MOST:
                raise TooManyCheckpoints("other backups of this shard are being made")
            id_ = secrets.token_hex(8)
            found = self._open[id_] = _Open(self._directory / id_, self._now())
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make(str(found.path))
            if failpoints.armed:
                failpoints.reach("checkpoint.made")
            files = [self._described(path) for path in sorted(found.path.iterdir()) if path.is_file()]
        except BaseException:
            self.close(id_)
            raise
        found.used = self._now()
        return id_, files

    def pieces(self, id_: str, name: str) -> Iterator[bytes]:
        """The content of a file. Raises NoSuchCheckpoint."""
        found = self._found(id_)
        path = found.path / name
        if path.parent != found.path or not path.is_file():
            raise NoSuchCheckpoint(f"the checkpoint has no file {name!r}")
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                found.used = self._now()
                yield piece

    def close(self, id_: str) -> None:
        """Also one that is gone already."""
        found = self._open.pop(id_, None)
        if found is not None:
            shutil.rmtree(found.path, ignore_errors=True)

    def _found(self, id_: str) -> _Open:
        found = self._open.get(id_)
        if found is None:
            raise NoSuchCheckpoint("that checkpoint was closed, or not read for an hour")
        return found

    def _forget_unused(self) -> None:
        now = self._now()
        for id_ in [id_ for id_, found in self._open.items() if now - found.used > KEPT_S]:
            self.close(id_)

    def _described(self, path: Path) -> CheckpointFile:
        status = path.stat()
        key = (path.name, status.st_size, status.st_mtime_ns)
        digest = self._known.get(key) if path.suffix == ".sst" else None
        if digest is None:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[key] = digest
        return CheckpointFile(path.name, status.st_size, digest)

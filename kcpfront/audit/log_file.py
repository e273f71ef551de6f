"""Audit records in a file, one a line; a full file is renamed with the time and a new one begun. On a thread only."""

import datetime
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_STAMP = "%Y-%m-%dT%H-%M-%S.%f"
_IS_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}")
_DEFAULT_MEGABYTES = 100


class Rotation(NamedTuple):
    """As kube-apiserver's flags; 0: no limit, for megabytes 100."""

    megabytes: int = 0
    backups: int = 0
    days: int = 0


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


Clock = Callable[[], datetime.datetime]


class LogFile:
    """`path` "-" is standard output. Files are 0600. Every method may raise OSError."""

    def __init__(
        self, path: str, rotation: Rotation | None = None, now: Callable[[], datetime.datetime] = _now
    ) -> None:
        self._path, self._rotation, self._now = Path(path), rotation or Rotation(), now
        self._limit = (self._rotation.megabytes or _DEFAULT_MEGABYTES) << 20
        self._is_stdout = path == "-"
        self._descriptor, self._size = sys.stdout.fileno() if self._is_stdout else -1, 0
        if not self._is_stdout:
            self._open()

    def write(self, records: Sequence[bytes]) -> None:
        """Whole lines, in order; on return they are the operating system's."""
        pending: list[bytes] = []
        size = 0
        for record in records:
            if not self._is_stdout and self._size + size + len(record) > self._limit and self._size + size:
                self._append(pending)
                self._rotate()
                pending, size = [], 0
            pending.append(record)
            size += len(record)
        self._append(pending)

    def _append(self, records: Sequence[bytes]) -> None:
        if self._descriptor < 0:
            self._open()
        data = memoryview(b"".join(records))
        while data:
            written = os.write(self._descriptor, data)
            self._size += written
            data = data[written:]

    def _open(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        self._descriptor, self._size = descriptor, os.fstat(descriptor).st_size
        if self._size:
            self._end_torn_line()

    def _end_torn_line(self) -> None:
        """A crash may have left half a record: what follows must not be glued to it."""
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                self._size += os.write(self._descriptor, b"\n")

    def _rotate(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        stamp = self._now().strftime(_STAMP)
        self._path.rename(self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}"))
        self._open()
        self._remove_old()

    def _remove_old(self) -> None:
        rotation = self._rotation
        found = sorted(self._backups(), reverse=True)
        oldest = self._now() - datetime.timedelta(days=rotation.days)
        for place, (stamp, file) in enumerate(found):
            made = datetime.datetime.strptime(stamp, _STAMP).replace(tzinfo=datetime.UTC)
            if (rotation.backups and place >= rotation.backups) or (rotation.days and made < oldest):
                file.unlink(missing_ok=True)

    def _backups(self) -> Iterator[tuple[str, Path]]:
        prefix = f"{self._path.stem}-"
        for file in self._path.parent.glob(f"*{self._path.suffix}"):
            stamp = file.name.removeprefix(prefix).removesuffix(self._path.suffix)
            if file.name.startswith(prefix) and _IS_STAMP.fullmatch(stamp):
                yield stamp, file

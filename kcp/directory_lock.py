"""One supervisor per directory: a flock that the children of the supervisor hold with it.

The children inherit the descriptor, so the lock is free only when the last process of a generation has ended; a
supervisor started right after a `kill -9` waits for that moment instead of meeting a half-dead predecessor.
"""

import fcntl
import os
import time
from pathlib import Path

from kcp.output import Refused

# Longer than the kernel needs to end the children of a killed supervisor.
PATIENCE_S = 5.0


class DirectoryLock:
    """Held until closed or until every process that inherited `descriptor` has ended."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path

    def close(self) -> None:
        os.close(self.descriptor)


def lock_directory(root: Path, patience_s: float = PATIENCE_S) -> DirectoryLock:
    """Take the lock of an existing directory or refuse, naming the process that has it."""
    path = root / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, root, time.monotonic() + patience_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return DirectoryLock(descriptor, path)


def holder_of(root: Path) -> int:
    """The process that supervises this directory now; 0: nobody does."""
    try:
        descriptor = os.open(root / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(descriptor)
        return holder if _is_alive(holder) else 0
    finally:
        os.close(descriptor)
    return 0


def _take(descriptor: int, root: Path, give_up: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = _holder(descriptor)
            if _is_alive(holder) or time.monotonic() > give_up:
                raise Refused(f"directory {root} is in use by process {holder or 'unknown'}") from None
            time.sleep(0.02)


def _holder(descriptor: int) -> int:
    """The process that wrote its id into the file; 0 while it has not yet."""
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _is_alive(process: int) -> bool:
    if not process:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

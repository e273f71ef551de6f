"""Files that only their owner may read, written so that a crash leaves the old content or the new one."""

import os
from pathlib import Path


def make_private_directory(path: Path) -> None:
    """Make `path` and its missing parents; `path` itself is 0700 whatever the umask. Existing ones stay as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if path.is_dir():
            return
        raise
    path.chmod(0o700)


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by a file of mode 0600, durably and at once."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError as fault:
        temporary.unlink(missing_ok=True)
        raise OSError(fault.errno, fault.strerror, str(path)) from fault
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

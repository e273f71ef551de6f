"""What may be done on a shard's event loop, and how a part says that it is too much. Pure.

Where worker processes exist (`offload`) the loop does little at once: what finds that it would take longer than a few
milliseconds raises TooLong before it has changed anything, and the request is worked out in a process beside the loop.
Elsewhere, in that process or in a test without workers, everything is allowed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Decoding, defaulting, validating, owning and encoding take 40 to 170 µs a kB.
LARGE_BYTES = 32 * 1024
# Evaluating costs up to 350 ns a unit of CEL, measured: 2 ms, which leave room for the rest of the write.
CEL_UNITS = 6_000


class TooLong(Exception):
    """More than the loop's share of one request. Nothing has been changed."""


class _Bounds:
    __slots__ = ("cel_units", "large_bytes")

    def __init__(self) -> None:
        self.cel_units = self.large_bytes = 1 << 62


_bounds = _Bounds()


_UNBOUNDED = 1 << 62
_lifted: ContextVar[bool] = ContextVar("lifted", default=False)


def check_size(size: int) -> None:
    """Raise TooLong if an object of that many bytes must not be decoded here."""
    if size > _bounds.large_bytes and not _lifted.get():
        raise TooLong


def cel_units() -> int:
    """What the rules of one object may cost here."""
    return _UNBOUNDED if _lifted.get() else _bounds.cel_units


def bound(large_bytes: int = LARGE_BYTES, cel_units: int = CEL_UNITS) -> None:
    """From here on, in this process."""
    _bounds.large_bytes, _bounds.cel_units = large_bytes, cel_units


@contextmanager
def unbounded() -> Iterator[None]:
    """Everything is allowed inside, to this task."""
    token = _lifted.set(True)
    try:
        yield
    finally:
        _lifted.reset(token)

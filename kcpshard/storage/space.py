"""Whether the disk has room for writes that are not deletions. Looks at most every so often."""

from collections.abc import Callable

from kcpshard.storage.contract import ReadOnly


class SpaceGuard:
    """`refusal` is the state: None, or why only deletions are taken."""

    __slots__ = ("_free_bytes", "_interval_us", "_next_us", "_reserved", "refusal")

    def __init__(self, free_bytes: Callable[[], int | None], reserved: int, interval_s: float) -> None:
        self._free_bytes, self._reserved, self._interval_us = free_bytes, reserved, int(interval_s * 1e6)
        self._next_us = 0
        self.refusal: ReadOnly | None = None

    def is_due(self, now_us: int) -> bool:
        # After a step back of the clock the next look may seem far away.
        return now_us >= self._next_us or now_us < self._next_us - self._interval_us

    def look(self, now_us: int) -> None:
        self._next_us = now_us + self._interval_us
        free = self._free_bytes()
        if free is None or free >= self._reserved:
            self.refusal = None
        elif free == 0:
            self.refusal = ReadOnly("the disk is full or read-only")
        else:
            self.refusal = ReadOnly(
                f"the disk is nearly full: {free >> 20} MiB left, {self._reserved >> 20} are reserved"
            )

"""Deadlines of many requests with one timer. Times are loop times; items are anything hashable."""

import asyncio
from collections.abc import Callable, Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

TICK_S = 0.05  # deadlines are met this much late at most; one bucket and at most one wake-up per tick


class DeadlineWheel(Generic[Item]):
    """Items by the tick in which they are due. Pure: the time is an argument.

    The heap holds each bucket's tick once; a bucket that was emptied leaves its tick behind until that is the first.
    """

    __slots__ = ("_buckets", "_ticks")

    def __init__(self) -> None:
        self._buckets: dict[int, set[Item]] = {}
        self._ticks: list[int] = []

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def add(self, item: Item, deadline: float) -> None:
        tick = int(deadline / TICK_S) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            self._buckets[tick] = {item}
            heappush(self._ticks, tick)
        else:
            bucket.add(item)

    def discard(self, item: Item, deadline: float) -> None:
        """Forget an item added with this deadline; unknown ones are ignored."""
        bucket = self._buckets.get(int(deadline / TICK_S) + 1)
        if bucket is not None:
            bucket.discard(item)

    def next_due(self) -> float | None:
        """When to call `due` again; None while nothing waits."""
        while self._ticks and not self._buckets[self._ticks[0]]:
            del self._buckets[heappop(self._ticks)]
        return self._ticks[0] * TICK_S if self._ticks else None

    def due(self, now: float) -> list[Item]:
        """Remove and return what is due."""
        found: list[Item] = []
        while self._ticks and self._ticks[0] * TICK_S <= now:
            found += self._buckets.pop(heappop(self._ticks))
        return found


class Deadlines(Generic[Item]):
    """The wheel on a running loop: `on_due(item)` is called when an item's deadline has passed."""

    __slots__ = ("_loop", "_on_due", "_timer", "_wheel")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_due: Callable[[Item], None]) -> None:
        self._loop, self._on_due = loop, on_due
        self._wheel: DeadlineWheel[Item] = DeadlineWheel()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: Item, deadline: float) -> None:
        self._wheel.add(item, deadline)
        timer = self._timer
        if timer is None:
            self._schedule()
        elif deadline < timer.when() - TICK_S:
            timer.cancel()
            self._schedule()

    def discard(self, item: Item, deadline: float) -> None:
        self._wheel.discard(item, deadline)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        due = self._wheel.next_due()
        self._timer = None if due is None else self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        for item in self._wheel.due(self._loop.time()):
            self._on_due(item)
        self._schedule()

"""Keys to work on: each once, one worker per key, logical clusters in turn, failures ever more slowly.

    add ──▶ waiting ──take──▶ active ──done──▶ (gone, or waiting again if it was added meanwhile)
               ▲                 └────later───▶ delayed ──its time comes──▶ waiting

Decides without a clock: times are handed in. Remembers the oldest revision that any key stands for, so that the runner
knows how far the log need not be read again. Costs nothing for logical clusters without work.
"""

import heapq
from typing import NamedTuple

from kcpshard.controllers.contract import Key

FIRST_RETRY_S, LAST_RETRY_S = 0.02, 60.0


class Item(NamedTuple):
    controller: str
    cluster_id: int
    key: Key


class WorkQueue:
    def __init__(self) -> None:
        self._waiting: dict[int, dict[Item, int]] = {}  # cluster → item → revision; served in turn
        self._active: dict[Item, int] = {}
        self._again: dict[Item, int] = {}  # added while active
        self._delayed: dict[Item, tuple[float, int]] = {}
        self._timers: list[tuple[float, Item]] = []  # heap; entries that `_delayed` no longer confirms are passed over
        self._failures: dict[Item, int] = {}
        self._size = 0

    def __len__(self) -> int:
        """Waiting, active and delayed."""
        return self._size + len(self._active) + len(self._delayed)

    @property
    def waiting(self) -> int:
        return self._size

    @property
    def active(self) -> int:
        return len(self._active)

    def is_active(self, item: Item) -> bool:
        return item in self._active

    def add(self, item: Item, revision: int) -> None:
        """Work on it as soon as its turn comes; `revision` is that of the change that asks for it."""
        if item in self._active:
            self._again.setdefault(item, revision)
            return
        delayed = self._delayed.pop(item, None)
        if delayed is not None:
            revision = min(revision, delayed[1])
        items = self._waiting.setdefault(item.cluster_id, {})
        if item not in items:
            items[item] = revision
            self._size += 1

    def take(self) -> Item | None:
        """The next item of the logical cluster whose turn it is."""
        if not self._waiting:
            return None
        cluster_id, items = next(iter(self._waiting.items()))
        item = next(iter(items))
        self._active[item] = items.pop(item)
        self._size -= 1
        del self._waiting[cluster_id]
        if items:
            self._waiting[cluster_id] = items  # to the end of the row
        return item

    def done(self, item: Item) -> None:
        self._failures.pop(item, None)
        self._leave(item)

    def later(self, item: Item, due: float) -> None:
        """Look again at that time, or sooner if it is added."""
        self._failures.pop(item, None)
        self._delay(item, due)

    def failed(self, item: Item, now: float) -> float:
        """Try again after a while, which is the result."""
        failures = self._failures[item] = self._failures.get(item, 0) + 1
        wait = min(FIRST_RETRY_S * 2.0 ** min(failures - 1, 30), LAST_RETRY_S)
        # What was added meanwhile waits too: it would only fail again.
        self._again.pop(item, None)
        self._delay(item, now + wait)
        return wait

    def restart(self) -> None:
        """Whoever worked has gone: what they had is waiting again."""
        for item in list(self._active):
            self._again.setdefault(item, self._active[item])
            self._leave(item)

    def next_due(self) -> float | None:
        while self._timers:
            due, item = self._timers[0]
            if self._delayed.get(item, (None,))[0] == due:
                return due
            heapq.heappop(self._timers)
        return None

    def wake(self, now: float) -> None:
        """What is due waits for its turn."""
        while (due := self.next_due()) is not None and due <= now:
            _, item = heapq.heappop(self._timers)
            self.add(item, self._delayed[item][1])

    def oldest(self) -> int | None:
        """The oldest revision that is not settled; None if nothing is left to do."""
        found = [*self._active.values(), *self._again.values(), *(r for _, r in self._delayed.values())]
        found += (revision for items in self._waiting.values() for revision in items.values())
        return min(found, default=None)

    def has_of(self, cluster_id: int, upto: int) -> bool:
        """Whether anything of that logical cluster is left to do that was asked for at or below that revision."""
        if any(revision <= upto for revision in self._waiting.get(cluster_id, {}).values()):
            return True
        left = [(item, r) for found in (self._active, self._again) for item, r in found.items()]
        left += [(item, revision) for item, (_, revision) in self._delayed.items()]
        return any(item.cluster_id == cluster_id and revision <= upto for item, revision in left)

    def _delay(self, item: Item, due: float) -> None:
        revision = self._active[item]
        if item in self._again:
            self._leave(item)
            return
        del self._active[item]
        self._delayed[item] = (due, revision)
        heapq.heappush(self._timers, (due, item))

    def _leave(self, item: Item) -> None:
        del self._active[item]
        if item in self._again:
            self.add(item, self._again.pop(item))

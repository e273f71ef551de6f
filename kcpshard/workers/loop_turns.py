"""Fair shares of one event loop: a logical cluster that has had its share waits for its turn, others go on at once.

What a logical cluster's work takes on the loop is measured. Below its share nothing changes: work runs where it stands,
and the price is two looks at the clock. Above it, its work queues in fair turns (`turns`), of which a few milliseconds
run in each turn of the loop, between everybody else's. The share is renewed continuously: `SHARE` of the time that has
passed, at most `BURST_S` saved up.

Charged is time of the processor: who is interrupted by another process has spent nothing meanwhile. To ask for that
costs a system call, so it is asked after work that seems to have been long, and tells of all since it was asked last:
what is charged is the lesser of the two.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter, thread_time

from kcpshard.workers.turns import FairTurns

SHARE = 0.2  # of one loop, that a logical cluster may use before it has to queue behind others
BURST_S = 0.02
_TURN_S = 0.002  # of queued work in one turn of the loop
_SLICE_S = 0.001  # what a coroutine's slice counts as in its turn; its spending is measured
_LONG_S = 0.0001  # seemingly: less is what it looks like
_QUEUED, _QUEUED_OF_ONE = 100_000, 20_000  # bounded by the callers' credits before that
_REMEMBERED = 4096

Work = Callable[[], None]


class LoopTurns:
    """`is_over` and `charge` around work that runs at once; `queue` and `turn` for work that waits."""

    __slots__ = ("_asked", "_is_scheduled", "_loop", "_resumed", "_turns", "_weight_of", "spenders")

    def __init__(self, weight_of: Callable[[str], float] | None = None) -> None:
        """`weight_of`: how many times the usual share a key has; asked about those that have used some of it."""
        self._weight_of = weight_of
        self._loop = asyncio.get_running_loop()
        self._turns: FairTurns[Work | asyncio.Future[None]] = FairTurns(_QUEUED, _QUEUED_OF_ONE)
        # key → seconds of the loop used beyond what the time since has renewed, and when that was
        self.spenders: dict[str, tuple[float, float]] = {}
        self._is_scheduled = False
        self._asked = thread_time()  # of the processor, when it was asked last
        self._resumed: tuple[str, float] | None = None  # whose coroutine has the loop, and since when

    def __len__(self) -> int:
        return len(self._turns)

    def is_over(self, key: str, now: float) -> bool:
        """Whether the key has had its share; then its work has to be queued. Only `spenders` may be."""
        if self._turns.waiting(key):
            return True
        used, since = self.spenders.get(key, (0.0, now))
        weight = self._weight(key)
        used -= (now - since) * SHARE * weight
        if used <= 0.0:
            self.spenders.pop(key, None)
        return used > BURST_S * weight

    def spent(self, seconds: float) -> float:
        """What of this time, up to now, was the processor's."""
        if seconds < _LONG_S:
            return seconds
        before, self._asked = self._asked, thread_time()
        return min(seconds, self._asked - before)

    def charge(self, key: str, seconds: float, now: float) -> None:
        """What work of the key took that ended at `now`."""
        used, since = self.spenders.get(key, (0.0, now))
        if len(self.spenders) >= _REMEMBERED:
            self._forget(now)
        renewed = (now - since) * SHARE * self._weight(key) if used else 0.0
        self.spenders[key] = (max(0.0, used - renewed) + seconds, now)

    def queue(self, key: str, work: Work) -> bool:
        """Run `work` when it is the key's turn; it must not raise. False if too much waits."""
        return self._put(key, work)

    async def turn(self, key: str) -> None:
        """Between two slices of a coroutine: others first, and whoever has used less."""
        now = perf_counter()
        if self._resumed is not None and self._resumed[0] == key:
            self.charge(key, self.spent(now - self._resumed[1]), now)
        self._resumed = None
        if not self._turns and not self.is_over(key, now):
            await asyncio.sleep(0)
        else:
            mine: asyncio.Future[None] = self._loop.create_future()
            if self._put(key, mine):
                await mine
        self._resumed = (key, perf_counter())

    def _weight(self, key: str) -> float:
        return 1.0 if self._weight_of is None else self._weight_of(key)

    def _put(self, key: str, item: "Work | asyncio.Future[None]") -> bool:
        if not self._turns.put(key, item):
            return False
        if self._weight_of is not None:
            self._turns.weigh(key, self._weight_of(key))
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._serve)
        return True

    def _serve(self) -> None:
        """A little of what waits; the rest in the next turn of the loop."""
        self._is_scheduled = False
        began = last = perf_counter()
        while last - began < _TURN_S and (found := self._turns.take()) is not None:
            key, item = found
            if isinstance(item, asyncio.Future):
                self._turns.charge(key, _SLICE_S)
                if item.done():
                    continue  # given up
                item.set_result(None)
                break  # it runs when we have returned
            item()
            now = perf_counter()
            spent = self.spent(now - last)
            self._turns.charge(key, spent)
            self.charge(key, spent, now)
            last = now
        if self._turns:
            self._is_scheduled = True
            self._loop.call_soon(self._serve)

    def _forget(self, now: float) -> None:
        kept = {k: b for k, b in self.spenders.items() if b[0] > (now - b[1]) * SHARE}
        self.spenders = kept if len(kept) < _REMEMBERED else {}

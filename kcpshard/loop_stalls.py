"""How long something held the event loop, of a shard or of a front: a beat that is late was held up.

Two figures are kept. *Stalls* are what a client feels: how late the beat was, whoever the processor was given to
meanwhile. *Holds* are our own fault: at most the CPU time that the loop's thread used since the last beat. A stall
shorter than the interval is seen only when a beat falls into it, so counts are a sample; the longest is not.
"""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Seconds. The aim is 5 ms: bounds around it are close.
BOUNDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
# 40 beats a second cost about 0.04 % of a processor. Measuring sets a shorter one.
INTERVAL_S = float(os.environ.get("KCP_LOOP_BEAT_S", "0.025"))


class Histogram(NamedTuple):
    """`counts` per bound and beyond the last one, not cumulative."""

    counts: Sequence[int]
    sum: float
    longest: float

    def as_figures(self) -> Mapping[str, object]:
        return {"counts": list(self.counts), "sum": self.sum, "longest": self.longest}


class _Delays:
    __slots__ = ("counts", "longest", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = self.longest = 0.0

    def add(self, seconds: float) -> None:
        self.sum += seconds
        if seconds > self.longest:
            self.longest = seconds
        for place, bound in enumerate(BOUNDS):
            if seconds <= bound:
                self.counts[place] += 1
                return
        self.counts[-1] += 1

    @property
    def histogram(self) -> Histogram:
        return Histogram(tuple(self.counts), self.sum, self.longest)


class LoopStalls:
    """`start` in a running loop; `stop` before it ends."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._timer: asyncio.TimerHandle | None = None
        self._stalls, self._holds = _Delays(), _Delays()
        self._cpu = 0.0

    @property
    def stalls(self) -> Histogram:
        return self._stalls.histogram

    @property
    def holds(self) -> Histogram:
        return self._holds.histogram

    def start(self) -> None:
        self._cpu = time.thread_time()
        self._beat(asyncio.get_running_loop().time())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        now, cpu = loop.time(), time.thread_time()
        late = max(0.0, now - due)
        self._stalls.add(late)
        self._holds.add(min(late, cpu - self._cpu))
        self._cpu = cpu
        self._timer = loop.call_later(self._interval_s, self._beat, now + self._interval_s)

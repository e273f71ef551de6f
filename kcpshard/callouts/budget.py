"""How many calls a logical cluster may have under way, and when a target that fails is left alone. Pure: time is given.

*Concurrency.* A logical cluster may use a quarter of what is free, at most `PER_CLUSTER`: one whose webhooks hang
leaves room, and whoever comes next always finds some. A call over that is refused at once; nothing waits here.

*Failures.* A target that failed `FAILURES` times in a row rests for `FIRST_REST_S`, then one call may try it; each
failed trial doubles the rest, up to `LONGEST_REST_S`. A verdict, or an answer with an error code from a server that
answers quickly, is not a failure.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

TOTAL = 256  # sockets of the process
PER_CLUSTER = 32
STREAMS, STREAMS_PER_CLUSTER = 1024, 64  # answers without end: watches of what other servers serve
FAILURES = 5
FIRST_REST_S, LONGEST_REST_S = 1.0, 15.0
_TARGETS = 2048  # with failures remembered; the oldest is forgotten: it is asked again


class Concurrency:
    def __init__(self, total: int = TOTAL, per_cluster: int = PER_CLUSTER) -> None:
        self._total, self._per_cluster = total, per_cluster
        self._by_cluster: dict[int, int] = {}
        self.in_flight = 0

    def enter(self, cluster_id: int) -> bool:
        """Whether one more may begin; it then must `leave`."""
        used = self._by_cluster.get(cluster_id, 0)
        if used >= min(self._per_cluster, (self._total - self.in_flight + 3) // 4):
            return False
        self._by_cluster[cluster_id] = used + 1
        self.in_flight += 1
        return True

    def leave(self, cluster_id: int) -> None:
        left = self._by_cluster[cluster_id] - 1
        if left:
            self._by_cluster[cluster_id] = left
        else:
            del self._by_cluster[cluster_id]
        self.in_flight -= 1


class _Failing(NamedTuple):
    times: int  # in a row
    text: str  # of the newest failure
    until: float  # no call before
    rest: float  # the length of this rest; 0 while there is none


class FailureBudget:
    """By (logical cluster, target): one tenant's dead webhook neither costs nor shields another."""

    def __init__(self) -> None:
        self._failing: OrderedDict[Hashable, _Failing] = OrderedDict()

    def resting(self, target: Hashable, now: float) -> str:
        """The newest failure of a target that rests, "" if it may be asked. After a rest that is for one caller only:
        the others wait for how it fares."""
        found = self._failing.get(target)
        if found is None or not found.rest:
            return ""
        if now < found.until:
            return found.text
        self._failing[target] = found._replace(until=now + found.rest)
        return ""

    def failed(self, target: Hashable, text: str, now: float) -> None:
        before = self._failing.pop(target, None)
        times = before.times + 1 if before else 1
        rest = 0.0
        if times >= FAILURES:
            rest = min(before.rest * 2, LONGEST_REST_S) if before and before.rest else FIRST_REST_S
        self._failing[target] = _Failing(times, text, now + rest, rest)
        if len(self._failing) > _TARGETS:
            self._failing.popitem(last=False)

    def succeeded(self, target: Hashable) -> None:
        self._failing.pop(target, None)

    def count_resting(self, now: float) -> int:
        return sum(1 for found in self._failing.values() if found.rest and now < found.until)

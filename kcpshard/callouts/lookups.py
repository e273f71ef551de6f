"""Names to addresses, on threads of their own: a tenant's slow name server must not hold up anybody else's names.

Threads are shared out as calls are (`budget.Concurrency`); one that is stuck counts until it comes back, whether or not
anybody still waits for it.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from kcpshard.callouts.budget import Concurrency
from kcpshard.callouts.errors import OverBudget

THREADS = 32
PER_CLUSTER = 4
KEPT_S = 10.0  # an answer is used again for this long
_KEPT = 1024

Find = Callable[[str, int], Sequence[str]]


def system_lookup(host: str, port: int) -> Sequence[str]:
    """Addresses in the order of preference. Raises OSError. Blocks."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookups:
    def __init__(self, find: Find = system_lookup, clock: Callable[[], float] | None = None) -> None:
        self._find = find
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._threads: ThreadPoolExecutor | None = None
        self._shares = Concurrency(THREADS, PER_CLUSTER)
        self._under_way: dict[tuple[int, str, int], asyncio.Future[Sequence[str]]] = {}  # bounded by the threads
        self._kept: OrderedDict[tuple[str, int], tuple[float, Sequence[str]]] = OrderedDict()

    async def addresses(self, cluster_id: int, host: str, port: int) -> Sequence[str]:
        """Raises OSError for a name that leads nowhere, OverBudget. The caller has a deadline and may be cancelled."""
        kept = self._kept.get((host, port))
        if kept and kept[0] > self._clock():
            return kept[1]
        work = self._under_way.get((cluster_id, host, port)) or self._begin(cluster_id, host, port)
        found = await asyncio.shield(work)
        self._kept[host, port] = (self._clock() + KEPT_S, found)
        self._kept.move_to_end((host, port))
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def _begin(self, cluster_id: int, host: str, port: int) -> "asyncio.Future[Sequence[str]]":
        """Everybody of the logical cluster who asks for the name meanwhile waits for this one."""
        if not self._shares.enter(cluster_id):
            raise OverBudget("too many names are being looked up for this logical cluster")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "lookup")
        place = (cluster_id, host, port)
        work = self._under_way[place] = asyncio.wrap_future(self._threads.submit(self._find, host, port))
        work.add_done_callback(partial(self._ended, place))
        return work

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, place: tuple[int, str, int], work: "asyncio.Future[Sequence[str]]") -> None:
        self._under_way.pop(place)
        self._shares.leave(place[0])
        if not work.cancelled():
            work.exception()  # looked at, also if nobody waits any more

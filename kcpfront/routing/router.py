"""A Caller and Watcher for any logical cluster: finds its shard, and finds it again when it has moved.

A request goes to the shard that the map names. Where that one answers 421, the request, which took no effect, is sent
to the shard it names, or after a newer map. Nobody but this module sees a 421; a client sees only the time it took.
Lists and watches of many logical clusters ("*", "root:org:*") are `wildcard_list`'s and `wildcard_watch`'s; nothing
else is done to many at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from kcpfront.routing.routed_watch import RoutedWatches
from kcpfront.routing.shard_map import ShardMap
from kcpfront.routing.wildcard_list import WildcardLists
from kcpfront.routing.wildcard_watch import WildcardWatches
from kcpshard.api.errors import MethodNotAllowed, ServiceUnavailable
from kcpshard.api.names import is_wildcard
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Caller, ListStream, Result, ShardChannels, Upgraded, WatchHandle, WatchSink

# Redirects followed without a pause. A chain is as long as the moves since our map; two shards that name each other
# (one has sealed, the other not adopted yet) are asked at the pace of the pause.
MAX_HOPS = 4
FIRST_PAUSE_S, LAST_PAUSE_S = 0.005, 0.25

Answer = TypeVar("Answer", Result, ListStream | Result, Upgraded | Result)
Send = Callable[[Caller, pb.Request, float], Awaitable[Answer]]


class RouterStatistics(NamedTuple):
    epoch: int
    shards: int
    learned: int
    redirects: int
    waiting_requests: int
    watches: int
    waiting_watches: int


class Router:
    """What handlers call. Its methods answer when awaited: nothing is sent before."""

    def __init__(self, channels: ShardChannels) -> None:
        self._channels = channels
        self._map = ShardMap()
        self._watches = RoutedWatches(self._map, channels)
        self._wildcard_lists = WildcardLists(lambda: channels.callers)
        self._wildcard_watches = WildcardWatches(lambda: channels.watchers)
        self._newer: asyncio.Future[None] | None = None  # done when the map changes; made when somebody waits
        self._redirects = self._waiting = 0

    # --- the map

    def adopt(self, message: pb.ShardMap) -> None:
        """A map from the feed."""
        if not self._map.adopt(message):
            return
        self._channels.update(self._map.shards)
        self._watches.place_waiting()
        self._wildcard_watches.shards_changed()
        if self._newer is not None:
            self._newer.set_result(None)
            self._newer = None

    @property
    def epoch(self) -> int:
        """0: no map yet, nothing can be answered."""
        return self._map.epoch

    # --- Caller

    async def call(self, request: pb.Request, deadline: float) -> Result:
        cluster = request.cluster
        caller = self._channels.callers.get(self._map.owner(cluster))
        if caller is None or is_wildcard(cluster):
            return await self._pursue(_call, request, deadline, None)
        result = await caller.call(request, deadline)
        if result.moved_to < 0:
            return result
        return await self._pursue(_call, request, deadline, result.moved_to)

    async def list(self, request: pb.Request, deadline: float) -> ListStream | Result:
        if request.view or is_wildcard(request.cluster):
            return await self._wildcard_lists.list(request, deadline)
        return await self._pursue(_list, request, deadline, None)

    async def connect(self, request: pb.Request, deadline: float) -> Upgraded | Result:
        return await self._pursue(_connect, request, deadline, None)

    # --- Watcher

    def watch(self, start: pb.StartWatch, sink: WatchSink) -> WatchHandle:
        """Goes on wherever the logical cluster moves; waits while nobody serves it."""
        if start.view or is_wildcard(start.cluster):
            return self._wildcard_watches.start(start, sink)
        return self._watches.start(start, sink)

    def watch_moved(self, handle: WatchHandle, resume: pb.StartWatch, moved_to: int) -> None:
        """`on_moved` of every shard's WatchClient."""
        if self._wildcard_watches.moved(handle, resume):
            return
        self._redirects += 1
        self._watches.moved(handle, resume, moved_to)

    def watch_progress(self) -> None:
        """`on_progress` of every shard's WatchClient."""
        self._wildcard_watches.progress()

    def statistics(self) -> RouterStatistics:
        placed, waiting = self._watches.count()
        return RouterStatistics(
            self._map.epoch,
            len(self._map.shards),
            self._map.learned(),
            self._redirects,
            self._waiting,
            placed,
            waiting,
        )

    # --- finding the shard

    async def _pursue(self, send: Send[Answer], request: pb.Request, deadline: float, moved_to: int | None) -> Answer:
        """Ask shard after shard until one answers. `moved_to` is of the 421 that brought us here, None without one."""
        cluster = request.cluster
        _refuse_wildcard(cluster)
        hops, pause_s = 0, FIRST_PAUSE_S
        while True:
            if moved_to is not None:
                self._redirects += 1
                self._map.learn(cluster, moved_to)
            caller = self._channels.callers.get(self._map.owner(cluster))
            if caller is None or moved_to == 0 or hops == MAX_HOPS:
                await self._wait_for_map(cluster, deadline, pause_s)
                hops, pause_s = 0, min(2 * pause_s, LAST_PAUSE_S)
                caller = self._channels.callers.get(self._map.owner(cluster))
            if caller is None:
                moved_to = None
                continue
            answer = await send(caller, request, deadline)
            if not isinstance(answer, Result) or answer.moved_to < 0:
                return answer
            hops, moved_to = hops + 1, answer.moved_to

    async def _wait_for_map(self, cluster: str, deadline: float, pause_s: float) -> None:
        """Until the map changes, at most `pause_s`: a shard also answers 421 for a moment while it seals slots."""
        loop = asyncio.get_running_loop()
        left_s = deadline - loop.time()
        if left_s <= 0:
            # Not a Timeout: no shard has accepted the request.
            raise ServiceUnavailable(f"no shard serves the logical cluster {cluster} at the moment", retry_after_s=1)
        if self._newer is None:
            self._newer = loop.create_future()
        self._waiting += 1
        try:
            await asyncio.wait((self._newer,), timeout=min(pause_s, left_s))
        finally:
            self._waiting -= 1


def _call(caller: Caller, request: pb.Request, deadline: float) -> Awaitable[Result]:
    return caller.call(request, deadline)


def _list(caller: Caller, request: pb.Request, deadline: float) -> Awaitable[ListStream | Result]:
    return caller.list(request, deadline)


def _connect(caller: Caller, request: pb.Request, deadline: float) -> Awaitable[Upgraded | Result]:
    return caller.connect(request, deadline)


def _refuse_wildcard(cluster: str) -> None:
    if is_wildcard(cluster):
        raise MethodNotAllowed("the server does not allow this method on the requested resource")

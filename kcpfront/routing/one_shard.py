"""A Caller and Watcher over the only shard there is: what an embedded server has in the place of a router."""

from collections.abc import Awaitable

from kcpfront.routing.wildcard_list import WildcardLists
from kcpfront.routing.wildcard_watch import WildcardWatches
from kcpshard.api.names import is_wildcard
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Caller, ListStream, Result, Upgraded, WatchHandle, WatchSink
from kcpshard.rpc.watch_client import WatchClient


class OneShard:
    def __init__(self, caller: Caller, watcher: WatchClient) -> None:
        self._caller, self._watcher = caller, watcher
        self._lists = WildcardLists(lambda: {1: caller})
        self._watches = WildcardWatches(lambda: {1: watcher})
        watcher.on_progress = self._watches.progress

    def call(self, request: pb.Request, deadline: float) -> Awaitable[Result]:
        return self._caller.call(request, deadline)

    def list(self, request: pb.Request, deadline: float) -> Awaitable[ListStream | Result]:
        return (self._lists if request.view or is_wildcard(request.cluster) else self._caller).list(request, deadline)

    def connect(self, request: pb.Request, deadline: float) -> Awaitable[Upgraded | Result]:
        return self._caller.connect(request, deadline)

    def watch(self, start: pb.StartWatch, sink: WatchSink) -> WatchHandle:
        if start.view or is_wildcard(start.cluster):
            return self._watches.start(start, sink)
        return self._watcher.watch(start, sink)

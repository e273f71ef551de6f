"""Watches that follow their logical cluster from shard to shard; their readers notice nothing.

A RoutedWatch is placed (a shard's WatchClient holds it), or waiting (nobody is known to serve its logical cluster),
or closed.
"""

import asyncio

from kcpfront.routing.shard_map import ShardMap
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import ShardChannels, WatchHandle, WatchSink

RETRY_S = 0.05  # between attempts to place what waits; a newer map is tried at once
MAX_HOPS = 4  # redirects followed without waiting


class RoutedWatch:
    """A WatchHandle whose shard may change, and the sink that shards give events to.

    `event` and `initial_done` are the reader's own methods: an event passes through without a further call.
    """

    __slots__ = (
        "_columns",
        "_kind",
        "_sink",
        "_started",
        "_watches",
        "event",
        "handle",
        "hops",
        "initial_done",
        "paused",
        "waits_as",
    )

    def __init__(self, watches: "RoutedWatches", start: pb.StartWatch, sink: WatchSink) -> None:
        self._watches = watches
        self._sink = sink
        self._started = False
        self._columns, self._kind = b"", ""  # as the last shard said: the next one says so once it has started
        self.event, self.initial_done = sink.event, sink.initial_done
        self.hops = 0
        self.paused = False
        self.handle: WatchHandle | None = None  # set: placed
        self.waits_as: pb.StartWatch | None = start  # set: waiting; neither: closed

    def started(self) -> None:
        """Each shard in turn accepts the watch; the reader hears of the first."""
        if not self._started:
            self._started = True
            self._sink.started()

    def ended(self, status: bytes) -> None:
        self._watches.forget(self)
        self._sink.ended(status)

    def leave(self, resume: pb.StartWatch) -> None:
        """The shard gave the logical cluster up: wait for a place to go on as `resume`."""
        self._columns, self._kind = self.columns, self.kind
        self.handle, self.waits_as = None, resume

    @property
    def revision(self) -> int:
        if self.handle is not None:
            return self.handle.revision
        return 0 if self.waits_as is None or self.waits_as.initial else self.waits_as.revision

    @property
    def complete(self) -> int:
        return self.handle.complete if self.handle is not None else self.revision

    @property
    def columns(self) -> bytes:
        return (self.handle.columns if self.handle is not None else b"") or self._columns

    @property
    def audit(self) -> bytes:
        return self.handle.audit if self.handle is not None else b""

    @property
    def kind(self) -> str:
        return (self.handle.kind if self.handle is not None else "") or self._kind

    def pause(self) -> None:
        self.paused = True
        if self.handle is not None:
            self.handle.pause()

    def resume(self) -> None:
        self.paused = False
        if self.handle is not None:
            self.handle.resume()

    def close(self) -> None:
        handle = self._watches.forget(self)
        if handle is not None:
            handle.close()


class RoutedWatches:
    """All watches of this front. Those that wait are retried together, by one timer."""

    def __init__(self, shard_map: ShardMap, channels: ShardChannels) -> None:
        self._map = shard_map
        self._channels = channels
        self._placed: dict[WatchHandle, RoutedWatch] = {}
        self._waiting: dict[RoutedWatch, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, start: pb.StartWatch, sink: WatchSink) -> RoutedWatch:
        watch = RoutedWatch(self, start, sink)
        self._place(watch, start)
        return watch

    def moved(self, handle: WatchHandle, resume: pb.StartWatch, moved_to: int) -> None:
        self._map.learn(resume.cluster, moved_to)
        watch = self._placed.pop(handle, None)
        if watch is None:
            return
        watch.leave(resume)
        watch.hops += 1
        if moved_to and watch.hops <= MAX_HOPS:
            self._place(watch, resume)
        else:
            self._wait(watch)

    def forget(self, watch: RoutedWatch) -> WatchHandle | None:
        """The watch is over; the handle it had."""
        handle, watch.handle, watch.waits_as = watch.handle, None, None
        self._waiting.pop(watch, None)
        if handle is not None:
            self._placed.pop(handle, None)
        return handle

    def place_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for watch in waiting:
            watch.hops = 0
            if watch.waits_as is not None:
                self._place(watch, watch.waits_as)

    def count(self) -> tuple[int, int]:
        """Watches placed and waiting."""
        return len(self._placed), len(self._waiting)

    def _place(self, watch: RoutedWatch, start: pb.StartWatch) -> None:
        watcher = self._channels.watchers.get(self._map.owner(start.cluster))
        if watcher is None:
            self._wait(watch)
            return
        handle = watcher.watch(start, watch)
        watch.handle, watch.waits_as = handle, None
        self._placed[handle] = watch
        if watch.paused:
            handle.pause()

    def _wait(self, watch: RoutedWatch) -> None:
        self._waiting[watch] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self.place_waiting()

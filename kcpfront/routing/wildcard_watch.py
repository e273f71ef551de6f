"""Watches over many logical clusters: one part at each shard, merged by revision.

    starting ──all parts started──► initial events, as they come ──all complete──► live: released up to the smallest
        closed revision        a shard that is silent for 10 s ends the watch with a 503 that names it

A part that breaks is resumed by its shard's WatchClient. When the set of shards changes, all parts start again from the
revision that the watch is complete up to: what they bring twice is dropped by its revision, and nothing is missed.
"""

import asyncio
from collections.abc import Callable, Mapping

from kcpfront.routing.revision_merge import RevisionMerge
from kcpshard.api.errors import ServiceUnavailable, resource_not_found
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import WatchedEvent, Watcher, WatchHandle, WatchSink

SILENT_S = 10.0
LOOK_S = 1.0
# Events of one watch that wait for the slowest shard; beyond it the shards ahead are told to wait.
MAX_WAITING_BYTES = 4 << 20


class _Part:
    """One shard's share of a watch: the sink of its events."""

    __slots__ = ("_watch", "complete", "handle", "initial", "is_held", "is_started", "moved_at", "number")

    def __init__(self, watch: "WildcardWatch", number: int, initial: bool, now: float) -> None:
        self._watch, self.number, self.initial = watch, number, initial
        self.handle: WatchHandle | None = None
        self.is_started = self.is_held = False
        self.complete, self.moved_at = 0, now  # the revision, and when it moved last

    def started(self) -> None:
        self.is_started = True
        self._watch.part_started()

    def event(self, event: WatchedEvent) -> None:
        self._watch.part_event(self, event)

    def initial_done(self, revision: int) -> None:
        self.initial = False
        self._watch.part_initial_done(revision)

    def ended(self, status: bytes) -> None:
        self.handle = None
        self._watch.finish(status)

    def look(self, now: float) -> int:
        revision = self.handle.complete if self.handle is not None else 0
        if revision > self.complete or self.is_held:
            self.complete, self.moved_at = max(revision, self.complete), now
        return self.complete


class WildcardWatch:
    """A WatchHandle. `revision`: everything up to it has been given."""

    __slots__ = (
        "_began", "_early", "_merge", "_paused", "_sink", "_start", "_target", "_watches", "audit", "columns", "kind",
        "parts", "revision",
    )  # fmt: skip

    def __init__(self, watches: "WildcardWatches", start: pb.StartWatch, sink: WatchSink) -> None:
        self._watches, self._start, self._sink = watches, start, sink
        self._merge = RevisionMerge()
        self._began = self._paused = False
        self._early: list[WatchedEvent] = []  # initial events that came before all shards had accepted the watch
        self._target = 0  # the revision at which the initial events are complete
        self.parts: dict[int, _Part] = {}
        self.revision = 0 if start.initial else start.revision
        self.columns = self.audit = b""
        self.kind = ""

    @property
    def complete(self) -> int:
        return self.revision

    def open(self, shards: Mapping[int, Watcher]) -> None:
        """A part at each shard."""
        for number, watcher in shards.items():
            self.open_part(number, watcher, self._start_of())

    def open_part(self, number: int, watcher: Watcher, start: pb.StartWatch) -> None:
        part = self.parts[number] = _Part(self, number, start.initial, self._watches.now())
        part.is_started = start.resumed
        part.handle = watcher.watch(start, part)
        if self._paused:
            self._hold(part)

    def _start_of(self) -> pb.StartWatch:
        start = pb.StartWatch()
        start.CopyFrom(self._start)
        if self._began and not self.is_initial:
            start.initial, start.minimum_revision, start.revision = False, 0, self.revision
            start.resumed = True
        return start

    @property
    def is_initial(self) -> bool:
        """Whether initial events are still being given: they cannot be resumed with other shards."""
        return bool(self._target) or any(part.initial for part in self.parts.values())

    def reopen(self, shards: Mapping[int, Watcher]) -> None:
        """The shards are others: go on from what is complete."""
        for part in self.parts.values():
            if part.handle is not None:
                part.handle.close()
        self.parts.clear()
        self._merge.clear()
        self.open(shards)

    # --- parts

    def part_started(self) -> None:
        if self._began or not all(part.is_started for part in self.parts.values()):
            return
        handles = [part.handle for part in self.parts.values() if part.handle is not None]
        self.kind = next((h.kind for h in handles if h.kind), "")
        self.columns = next((h.columns for h in handles if h.columns), b"")
        self.audit = next((h.audit for h in handles if h.audit), b"")
        if not self.kind:  # nobody serves the type
            self.finish(resource_not_found().body())
            return
        self._began = True
        self._sink.started()
        early, self._early = self._early, []
        for event in early:
            self._sink.event(event)

    def part_event(self, part: _Part, event: WatchedEvent) -> None:
        if not event.position:
            self._merge.put(part.number, event)
        elif self._began:
            self._sink.event(event)
        else:
            self._early.append(event)

    def part_initial_done(self, revision: int) -> None:
        self._target = max(self._target, revision)

    def _hold_those_ahead(self) -> None:
        slowest = min(part.complete for part in self.parts.values())
        for part in self.parts.values():
            if part.complete > slowest and self._merge.waiting(part.number):
                self._hold(part)

    def _hold(self, part: _Part) -> None:
        if not part.is_held and part.handle is not None:
            part.is_held = True
            part.handle.pause()

    def _let_go(self) -> None:
        for part in self.parts.values():
            if part.is_held and part.handle is not None:
                part.is_held = False
                part.handle.resume()

    # --- releasing

    def release(self, now: float) -> None:
        """Give what is in order for good. Called when a shard has said something, and once a second."""
        bound = min((part.look(now) for part in self.parts.values()), default=0)
        # Here and not where an event comes: a part that is held in the middle of a commit would be given it in halves.
        if self._merge.bytes > MAX_WAITING_BYTES:
            self._hold_those_ahead()
        if not self._began or self._paused or any(part.initial for part in self.parts.values()):
            return
        if self._target:
            if bound < self._target:
                return
            self._give(self._target)
            done, self._target = self._target, 0
            self._sink.initial_done(done)
        self._give(bound)
        if self._merge.bytes < MAX_WAITING_BYTES // 2 and not self._paused:
            self._let_go()

    def _give(self, upto: int) -> None:
        for event in self._merge.take(upto):
            if event.revision > self.revision:
                self._sink.event(event)
        self.revision = max(self.revision, upto)

    def check_silence(self, now: float) -> None:
        for part in self.parts.values():
            if self._began and not part.is_held and now - part.moved_at > SILENT_S:
                text = f"shard {part.number} has not answered for {SILENT_S:g} seconds, please try again later"
                self.finish(ServiceUnavailable(text, retry_after_s=1).body())
                return

    # --- the end, and the reader's side

    def finish(self, status: bytes) -> None:
        self.close()
        self._sink.ended(status)

    def pause(self) -> None:
        self._paused = True
        for part in self.parts.values():
            self._hold(part)

    def resume(self) -> None:
        self._paused = False
        self._let_go()
        self._watches.release_soon()

    def close(self) -> None:
        self._watches.forget(self)
        for part in self.parts.values():
            if part.handle is not None:
                part.handle.close()
                part.handle = None


class WildcardWatches:
    """All of a front. `progress` is to be called when a shard has given events or its closed revision has moved."""

    def __init__(self, watchers: Callable[[], Mapping[int, Watcher]]) -> None:
        """The shards there are now, by number: call `shards_changed` when they are others."""
        self._watchers = watchers
        self._loop = asyncio.get_running_loop()
        self._all: dict[WildcardWatch, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_scheduled = False

    def __len__(self) -> int:
        return len(self._all)

    def now(self) -> float:
        return self._loop.time()

    def start(self, start: pb.StartWatch, sink: WatchSink) -> WildcardWatch:
        """Raises ServiceUnavailable as long as no shard is known."""
        if not self._watchers():
            raise ServiceUnavailable("no shard is known yet", retry_after_s=1)
        watch = WildcardWatch(self, start, sink)
        self._all[watch] = None
        watch.open(self._watchers())
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_S, self._look)
        return watch

    def forget(self, watch: WildcardWatch) -> None:
        self._all.pop(watch, None)

    def progress(self) -> None:
        if self._all:
            now = self._loop.time()
            for watch in list(self._all):
                watch.release(now)

    def release_soon(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._release)

    def _release(self) -> None:
        self._is_scheduled = False
        self.progress()

    def shards_changed(self) -> None:
        """There are other shards than before."""
        for watch in list(self._all):
            is_whole = all(part.handle is not None for part in watch.parts.values())
            if is_whole and watch.parts.keys() == self._watchers().keys():
                continue
            if watch.is_initial:
                text = "the set of shards has changed, please try again later"
                watch.finish(ServiceUnavailable(text, retry_after_s=1).body())
            else:
                watch.reopen(self._watchers())

    def moved(self, handle: WatchHandle, resume: pb.StartWatch) -> bool:
        """A shard's WatchClient has let go of a watch: another address, or no shard any more. False: none of ours."""
        for watch in list(self._all):
            for number, part in watch.parts.items():
                if part.handle is handle:
                    part.handle = None
                    if (watcher := self._watchers().get(number)) is not None:
                        watch.open_part(number, watcher, resume)
                    return True
        return False

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK_S, self._look) if self._all else None
        now = self._loop.time()
        self.progress()
        for watch in list(self._all):
            watch.check_silence(now)

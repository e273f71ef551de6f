"""What each watch of a front has been given, and so from where it goes on after a break.

Decides, without I/O: messages of the two streams in, calls of the sinks out; which watches to start and stop next.
Leaves streams, retries and time to `watch_client`.

    QUEUED ─sent─► CATCHING_UP ─joined─► LIVE        broken link: all of them back to QUEUED
       ▲ resume        │                  │
     PAUSED ◄──────────┴──────────────────┘ pause    close, ended, moved: CLOSED, from anywhere
"""

import os
from collections.abc import Callable
from enum import Enum
from sys import intern

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import MovedWatch, WatchedEvent, WatchSink

_VERIFY = os.environ.get("KCP_VERIFY", "") not in ("", "0")
# Live events that came before the catch-up stream said `joined`. That is a matter of milliseconds; a watch that goes
# beyond is started anew from what it has been given, which needs no memory.
HELD_EVENTS, HELD_BYTES = 1_000, 8 << 20


class Phase(Enum):
    QUEUED = 1  # to be started, not sent yet
    CATCHING_UP = 2
    LIVE = 3
    PAUSED = 4
    CLOSED = 5


class OutOfOrder(AssertionError):
    """An event came twice or after a later one: a fault of the shard or of this module."""


class FrontWatch:
    """One watch, and the WatchHandle that its reader holds.

    `base`: complete up to here. `given`: the revision of the last event, `count` of its events were given; the first
    `skip` that come again after a break are not given twice.
    """

    __slots__ = (
        "__weakref__", "_ledger", "audit", "base", "cluster_id", "columns", "count", "given", "held", "id", "initial",
        "initial_revision", "kind", "phase", "position", "sink", "skip", "start", "was_started",
    )  # fmt: skip

    def __init__(self, ledger: "WatchLedger", id_: int, start: pb.StartWatch, sink: WatchSink) -> None:
        self._ledger, self.id, self.sink = ledger, id_, sink
        self.start = start.SerializeToString()  # a fifth of the message's memory
        self.phase = Phase.QUEUED
        self.columns, self.kind = b"", ""
        self.audit = b""
        self.was_started = start.resumed  # the sink knows
        self.initial, self.position, self.initial_revision = start.initial, start.initial_after, start.initial_revision
        self.base = self.given = 0 if start.initial else start.revision
        self.count = self.skip = start.given
        if start.given:
            self.given += 1
        self.cluster_id: int = start.cluster_id
        self.held: list[WatchedEvent] | None = None

    @property
    def revision(self) -> int:
        if self.initial:
            return 0
        seen = max(self.base, self.given)
        return max(seen, self._ledger.closed_revision) if self.phase is Phase.LIVE else seen

    @property
    def complete(self) -> int:
        if self.initial:
            return 0
        seen = max(self.base, self.given - 1)
        return max(seen, self._ledger.closed_revision) if self.phase is Phase.LIVE else seen

    def pause(self) -> None:
        self._ledger.pause(self)

    def resume(self) -> None:
        self._ledger.resume(self)

    def close(self) -> None:
        self._ledger.close(self)


class WatchLedger:
    """All watches of one front at one shard. `on_wake` is called when there is something to send."""

    def __init__(self, on_wake: Callable[[], None], next_id: Callable[[], int]) -> None:
        self._on_wake, self._next_id = on_wake, next_id
        self.on_moved: MovedWatch | None = None
        self.closed_revision = 0  # of the present link: complete for every live watch
        self.watches: dict[int, FrontWatch] = {}  # QUEUED, CATCHING_UP, LIVE
        self.later: list[FrontWatch] = []  # the shard asks for another try after a while; QUEUED, not in _to_start
        self._to_start: dict[FrontWatch, None] = {}
        self._to_stop: list[int] = []
        self._held_bytes = 0
        self.resumed = 0  # watches started again so far

    # --- for readers

    def add(self, start: pb.StartWatch, sink: WatchSink) -> FrontWatch:
        watch = FrontWatch(self, self._next_id(), start, sink)
        self.watches[watch.id] = watch
        self._queue(watch)
        return watch

    def close(self, watch: FrontWatch) -> None:
        if watch.phase is not Phase.CLOSED:
            self._leave(watch, Phase.CLOSED)

    def pause(self, watch: FrontWatch) -> None:
        if watch.phase in (Phase.CLOSED, Phase.PAUSED):
            return
        self._settle(watch)
        self._leave(watch, Phase.PAUSED)

    def resume(self, watch: FrontWatch) -> None:
        if watch.phase is Phase.PAUSED:
            self._restart(watch)

    # --- for the streams

    @property
    def has_controls(self) -> bool:
        return bool(self._to_start or self._to_stop)

    def take_controls(self, max_entries: int, max_bytes: int) -> pb.WatchControlBatch:
        """Starts and stops for one message. What it starts counts as sent."""
        batch = pb.WatchControlBatch()
        stops, self._to_stop = self._to_stop[:max_entries], self._to_stop[max_entries:]
        for watch_id in stops:
            batch.controls.add(stop=watch_id)
        size = 0
        while self._to_start and len(batch.controls) < max_entries and size < max_bytes:
            watch = next(iter(self._to_start))
            del self._to_start[watch]
            start = self.start_of(watch)
            self.resumed += start.resumed
            batch.controls.add(start=start)
            watch.phase = Phase.CATCHING_UP
            size += len(watch.start) + 40
        return batch

    def start_of(self, watch: FrontWatch) -> pb.StartWatch:
        """A start that goes on where the watch has been settled."""
        start = pb.StartWatch.FromString(watch.start)
        start.id = watch.id
        if not watch.was_started:
            return start
        start.resumed = True
        start.cluster_id = watch.cluster_id
        start.minimum_revision = 0
        if watch.initial:
            start.initial_after, start.initial_revision = watch.position, watch.initial_revision
        else:
            start.initial, start.initial_after, start.initial_revision = False, "", 0
            start.revision, start.given = watch.base, watch.skip
        return start

    def feed_live(self, batch: pb.WatchBatch) -> None:
        find = self.watches.get
        for message in batch.events:
            event = WatchedEvent(message.type, message.revision, message.object)
            for watch_id in message.watches:
                watch = find(watch_id)
                if watch is None:
                    continue
                if watch.phase is Phase.LIVE:
                    self._give(watch, event)
                elif watch.phase is Phase.CATCHING_UP:
                    self._hold(watch, event)
        for joined in batch.joined:  # a birth: the watch was live, waiting for it
            if (watch := find(joined.watch)) is not None:
                watch.cluster_id = joined.cluster_id
        for ended in batch.ended:
            self._ended(ended)
        if batch.closed_revision:  # not before: a watch that moved away is complete only up to what `ended` says
            self.closed_revision = batch.closed_revision

    def feed_catch_up(self, batch: pb.WatchBatch) -> None:
        find = self.watches.get
        for started in batch.started:
            if (watch := find(started.watch)) is not None:
                self._started(watch, started)
        for message in batch.events:
            event = WatchedEvent(message.type, message.revision, message.object, message.position)
            for watch_id in message.watches:
                if (watch := find(watch_id)) is not None:
                    self._caught(watch, event)
        for done in batch.initial_done:
            if (watch := find(done.watch)) is not None:
                watch.initial, watch.position, watch.initial_revision = False, "", 0
                watch.base = watch.given = done.revision
                watch.count = 0
                watch.sink.initial_done(done.revision)
        for joined in batch.joined:
            if (watch := find(joined.watch)) is not None:
                self._joined(watch, joined)
        for ended in batch.ended:
            self._ended(ended)

    def break_off(self) -> None:
        """The link is gone: every watch starts again from what it has been given."""
        for watch in self.watches.values():
            self._settle(watch)
        self._to_stop.clear()
        self._to_start = dict.fromkeys(self.watches.values())
        for watch in self._to_start:
            watch.phase = Phase.QUEUED
        self.later.clear()
        self.closed_revision = 0

    def queue_later(self) -> None:
        """The while is over."""
        later, self.later = self.later, []
        for watch in later:
            if watch.phase is Phase.QUEUED and watch.id in self.watches:
                self._queue(watch)

    def statistics(self) -> dict[str, int]:
        live = sum(w.phase is Phase.LIVE for w in self.watches.values())
        held = self._held_bytes
        return {"watches": len(self.watches), "live": live, "held_bytes": held, "resumed": self.resumed}

    # --- one watch's progress

    def _started(self, watch: FrontWatch, started: pb.WatchStarted) -> None:
        watch.columns, watch.kind = started.columns, intern(started.kind)
        watch.audit = started.audit
        watch.cluster_id = started.cluster_id
        if not watch.was_started:
            watch.was_started = True
            watch.sink.started()

    def _caught(self, watch: FrontWatch, event: WatchedEvent) -> None:
        if not event.position:
            self._give(watch, event)
            return
        watch.position, watch.initial_revision = event.position, event.revision
        watch.sink.event(event)

    def _give(self, watch: FrontWatch, event: WatchedEvent) -> None:
        revision = event.revision
        if revision > watch.given:
            watch.given, watch.count, watch.skip = revision, 1, 0
        elif revision <= watch.base or revision < watch.given:
            if _VERIFY:
                raise OutOfOrder(f"watch {watch.id} has {watch.base} and {watch.given}, then came {revision}")
            return
        elif watch.skip:
            watch.skip -= 1
            return
        else:
            watch.count += 1
        watch.sink.event(event)

    def _hold(self, watch: FrontWatch, event: WatchedEvent) -> None:
        held = watch.held
        if held is None:
            held = watch.held = []
        held.append(event)
        self._held_bytes += len(event.object)
        if len(held) > HELD_EVENTS or self._held_bytes > HELD_BYTES:
            self.pause(watch)
            self._restart(watch)

    def _joined(self, watch: FrontWatch, joined: pb.WatchJoined) -> None:
        watch.phase = Phase.LIVE
        watch.cluster_id = joined.cluster_id
        watch.base = max(watch.base, joined.revision)
        held = self._release_held(watch)
        for event in held:
            if watch.phase is not Phase.LIVE:
                return  # its reader paused or closed it
            self._give(watch, event)

    def _ended(self, ended: pb.WatchEnded) -> None:
        watch = self.watches.get(ended.watch)
        if watch is None:
            return
        if ended.status:
            self._forget(watch, Phase.CLOSED)
            watch.sink.ended(ended.status)
            return
        if not watch.initial:
            watch.base = max(watch.base, ended.revision)
        self._settle(watch)
        if ended.moved and self.on_moved is not None:
            self._forget(watch, Phase.CLOSED)
            self.on_moved(watch, self.start_of(watch), ended.moved_to)
            return
        watch.phase = Phase.QUEUED
        self.later.append(watch)
        self._on_wake()

    def give_up(self) -> None:
        """This shard is not asked any more: whoever routes finds each watch another place, as after a move."""
        for watch in list(self.watches.values()):
            self._settle(watch)
            self._forget(watch, Phase.CLOSED)
            if self.on_moved is not None:
                self.on_moved(watch, self.start_of(watch), 0)

    def _settle(self, watch: FrontWatch) -> None:
        """Its place for a new start: a revision of which not all may have come is asked for again, less what came."""
        self._release_held(watch)
        if watch.phase is Phase.LIVE:
            watch.base = max(watch.base, self.closed_revision)
        if watch.given > watch.base:
            watch.base, watch.skip = watch.given - 1, watch.count
        else:
            watch.given, watch.count, watch.skip = watch.base, 0, 0

    def _release_held(self, watch: FrontWatch) -> list[WatchedEvent]:
        held, watch.held = watch.held, None
        if not held:
            return []
        self._held_bytes -= sum(len(event.object) for event in held)
        return held

    def _restart(self, watch: FrontWatch) -> None:
        """Under a new id: what is still on its way for the old one is not for this start."""
        watch.id = self._next_id()
        self.watches[watch.id] = watch
        self._queue(watch)

    def _queue(self, watch: FrontWatch) -> None:
        watch.phase = Phase.QUEUED
        self._to_start[watch] = None
        self._on_wake()

    def _leave(self, watch: FrontWatch, phase: Phase) -> None:
        """Forget it here and, if it was sent, at the shard."""
        was = watch.phase
        self._forget(watch, phase)
        if was in (Phase.CATCHING_UP, Phase.LIVE):
            self._to_stop.append(watch.id)
            self._on_wake()

    def _forget(self, watch: FrontWatch, phase: Phase) -> None:
        self._release_held(watch)
        watch.phase = phase
        self.watches.pop(watch.id, None)
        self._to_start.pop(watch, None)

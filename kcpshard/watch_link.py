"""One front's watches on this shard, without the transport: control messages in, batches of its two streams out.

`receive` takes what either stream brings; `next_live` and `next_catch_up` wait for the next message of each stream. The
catch-up side gives its watches turns of one slice, and the loop a breath after 2 ms.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, NamedTuple

from kcpshard.api.errors import ApiError, InternalError, ServiceUnavailable, TooManyRequests
from kcpshard.api.resource_versions import expired
from kcpshard.api.unconverted import NotConverted
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.settings import Settings
from kcpshard.storage.contract import Compacted, LogicalCluster, NotDurable, ObjectStore
from kcpshard.verbs.outcome import NotOwned
from kcpshard.watch.cursor import Cursor, Occurrence, Phase
from kcpshard.watch.hub import Ended, Hub, Joined, Link, Watch
from kcpshard.watch_start import Beginning, NotReached, WatchStarts

_log = logging.getLogger(__name__)

MAX_EVENTS, MAX_BYTES = 256, 256 * 1024  # of a message
TURN_S = 0.002  # of catching up before other work gets a turn


Spawn = Callable[[Coroutine[Any, Any, None]], object]


class LinkClosed(Exception):
    """The Watch stream has ended, or the front has been cut off because it does not read."""


class Future(NamedTuple):
    """A watch from a revision that is not reached yet."""

    start: pb.StartWatch
    deadline: float
    error: ApiError


class FrontLink:
    """The watches of one front. Its hub link is the live side; the catch-up side is here."""

    def __init__(
        self, hub: Hub, starts: WatchStarts, store: ObjectStore, settings: Settings, spawn: Spawn | None = None
    ) -> None:
        """`spawn` runs what converts objects; without it watches that need that end with an error."""
        self._hub, self._starts, self._store, self._settings = hub, starts, store, settings
        self.link: Link = hub.open()
        self._to_start: deque[pb.StartWatch] = deque()
        self._spawn = spawn
        self._future: list[Future] = []
        self._idle: list[Watch] = []  # have all there is, and ask a webhook for what comes
        self._closed_revision = 0  # the last one sent
        self._loop = asyncio.get_running_loop()
        self._ticker = self._loop.call_later(settings.closed_revision_interval_s, self._tick)
        self.is_cut = False
        self._streams: list[Callable[[], None]] = []
        self.link.on_cut = self._cut

    def on_close(self, end_stream: Callable[[], None]) -> None:
        """Call when the link is over, because the Watch stream ended or because the front does not read."""
        self._streams.append(end_stream)

    def close(self) -> None:
        self._ticker.cancel()
        self._hub.close(self.link)
        self._to_start.clear()
        self._future.clear()
        self._idle.clear()
        self.link.live_wake.set()
        self.link.lagging_wake.set()
        while self._streams:
            self._streams.pop()()

    def _cut(self) -> None:
        self.is_cut = True
        self.close()

    def receive(self, batch: pb.WatchControlBatch) -> None:
        link = self.link
        for control in batch.controls:
            if control.stop:
                self._hub.stop(link, control.stop)
                continue
            start = control.start
            if len(link.watches) >= self._settings.watches_per_front:
                error = TooManyRequests("too many watches, please try again later.", retry_after_s=1)
                link.end(Ended(start.id, error.body()))
                continue
            link.watches[start.id] = None
            self._to_start.append(start)
        link.lagging_wake.set()

    # --- the live stream

    async def next_live(self) -> pb.WatchBatch:
        """When there is something to say, but at least the closed revision, if it has moved, at every interval."""
        wake = self.link.live_wake
        while True:
            await wake.wait()
            self._check_open()
            batch = self.take_live()
            if batch is not None:
                return batch

    def take_live(self) -> pb.WatchBatch | None:
        """What is queued, as one message; None if there is nothing to say."""
        link = self.link
        if link.views:
            self._store.close_up_to_now()
        closed = self._store.durable_revision  # everything at or below it has been through Hub.on_commit
        taken = link.take(MAX_EVENTS, MAX_BYTES)
        rest = bool(link.events)
        if not taken and not link.joined and not link.ended and closed == self._closed_revision:
            link.live_wake.clear()
            return None
        batch = pb.WatchBatch()
        add = batch.events.add
        for type_, revision, json, watches in taken:
            add(type=type_, revision=revision, object=json, watches=watches)
        if rest:
            return batch
        link.live_wake.clear()
        _add_joined(batch, link.joined)
        _add_ended(batch, link.ended)
        link.joined.clear()
        link.ended.clear()
        batch.closed_revision = self._closed_revision = closed
        return batch

    def _check_open(self) -> None:
        if self.link.broken:
            raise LinkClosed

    def _tick(self) -> None:
        self.link.live_wake.set()
        # Events of watches of many logical clusters wait for the slowest shard's closed revision.
        settings = self._settings
        interval_s = settings.closed_revision_of_many_s if self.link.views else settings.closed_revision_interval_s
        self._ticker = self._loop.call_later(interval_s, self._tick)

    # --- the catch-up stream

    async def next_catch_up(self) -> list[pb.WatchBatch]:
        """One turn of catching up, as messages; the next turn is taken when these have been written."""
        wake = self.link.lagging_wake
        while True:
            if not self._to_start and not self.link.lagging:
                wake.clear()
                await self._wait(wake, self._until_late())
            self._check_open()
            turn = self.take_catch_up()
            if turn:
                return turn
            await asyncio.sleep(0)

    def take_catch_up(self) -> list[pb.WatchBatch]:
        """Starts and slices for at most TURN_S."""
        messages = _Messages()
        deadline = self._loop.time() + TURN_S
        self._start_reached(messages)
        self._resume_idle()
        while self._loop.time() < deadline:
            if self._to_start:
                self._begin(self._to_start.popleft(), messages)
            elif self.link.lagging:
                self._advance(self.link.lagging.popleft(), messages)
            else:
                break
        return messages.finish()

    def _begin(self, start: pb.StartWatch, messages: "_Messages") -> None:
        if start.id not in self.link.watches:
            return  # stopped meanwhile
        try:
            beginning = self._starts.judge(start)
            if not start.resumed:  # one that goes on after a break was let in before
                self._starts.let_in(start, beginning.identity)
        except NotDurable as reason:
            reason.group.when_durable(partial(self._again, start))
        except NotReached as reason:
            self._wait_for(start, reason.error)
        except Exception as error:  # noqa: BLE001 - the boundary: the watch ends, the stream goes on
            self._fail(start.id, error, messages)
        else:
            self._open(start, beginning, messages)

    def _open(self, start: pb.StartWatch, beginning: Beginning, messages: "_Messages") -> None:
        resource, selection, cursor, identity, audit, view = beginning
        group_resource = cursor.group_resource if cursor is not None else resource.group_resource if resource else ""
        watch = Watch(start.id, self.link, start.cluster, group_resource, selection, identity, start.proof)
        watch.view = view
        self._hub.begin(watch)
        if view is not None and self.link.views == 1:
            self._ticker.cancel()
            self._tick()
        cluster_id = cursor.cluster.id if cursor else 0
        columns = resource.columns if resource is not None and start.want_columns else b""
        messages.started(start.id, cluster_id, columns, resource.kind if resource is not None else "", audit)
        if cursor is not None:
            watch.cursor = cursor
            self._advance(watch, messages)
            return
        revision = self._store.durable_revision
        if start.initial:
            messages.initial_done(start.id, revision)
        self._hub.await_birth(watch)
        messages.joined(Joined(start.id, revision, 0))

    def _advance(self, watch: Watch, messages: "_Messages") -> None:
        """One slice; the watch joins its bucket in the turn in which nothing was left to read."""
        cursor = watch.cursor
        if cursor is None:
            return  # stopped meanwhile
        try:
            if isinstance(cursor, Cursor) and not self._may_go_on(watch, cursor.cluster):
                self._hub.stop(self.link, watch.id)
                messages.ended(Ended(watch.id))  # it starts again, and finds out what it is now
                return
            step = cursor.step(self._store, self._hub.history)
        except NotDurable as reason:
            reason.group.when_durable(partial(self._lag, watch))
            return
        except NotConverted as reason:
            self._convert(watch, reason)
            return
        except NotOwned as reason:
            complete = cursor.revision if cursor.phase is Phase.REPLAY else 0
            self._hub.stop(self.link, watch.id)
            messages.ended(Ended(watch.id, moved=True, moved_to=reason.moved_to, revision=complete))
            return
        except Exception as error:  # noqa: BLE001 - the boundary: the watch ends, the stream goes on
            self._fail(watch.id, error, messages)
            return
        messages.events(watch.id, step.events)
        if step.initial_done:
            messages.initial_done(watch.id, step.initial_done)
        if step.caught_up and watch.selection.form.waits:
            self._idle.append(watch)
            self._hub.await_commits(self.link, True)
        elif step.caught_up:
            self._hub.join(watch, cursor.cluster.id)
            messages.joined(Joined(watch.id, cursor.revision, cursor.cluster.id))
        else:
            if step.initial_done:
                messages.cut()  # in a message events come first, and the next ones belong behind
            self._lag(watch)

    def _may_go_on(self, watch: Watch, cluster: LogicalCluster) -> bool:
        """False: the type is not what it was. Raises NotOwned, Forbidden, Unauthorized."""
        self._starts.check_owned(watch.path)
        if not self._starts.is_served(watch, cluster):
            return False
        if watch.doubted:
            self._starts.may_go_on(watch, cluster)
            watch.doubted = False
        return True

    def _lag(self, watch: Watch) -> None:
        if watch.cursor is not None:
            self.link.lag(watch, watch.cursor)

    # --- watches whose objects a webhook converts: they never leave their cursor

    def _resume_idle(self) -> None:
        newest = self._store.durable_revision
        behind = [watch for watch in self._idle if watch.cursor is None or watch.cursor.revision < newest]
        if behind:
            self._idle = [watch for watch in self._idle if watch.cursor is not None and watch not in behind]
            for watch in behind:
                self._lag(watch)
        self._hub.await_commits(self.link, bool(self._idle or self._future))

    def _convert(self, watch: Watch, reason: NotConverted) -> None:
        if self._spawn is None:
            self._end(watch, ServiceUnavailable("objects of this type cannot be converted here"))
            return
        self._spawn(self._settle(watch, reason))

    async def _settle(self, watch: Watch, reason: NotConverted) -> None:
        try:
            await reason.settle()
        except ApiError as error:
            self._end(watch, error)
        else:
            if not self.link.broken:
                self._lag(watch)

    def _end(self, watch: Watch, error: ApiError) -> None:
        if self._hub.stop(self.link, watch.id) is not None:
            self.link.end(_ended(watch.id, error))

    def _again(self, start: pb.StartWatch) -> None:
        if not self.link.broken:
            self._to_start.append(start)
            self.link.lagging_wake.set()

    def _fail(self, watch_id: int, error: Exception, messages: "_Messages") -> None:
        self._hub.stop(self.link, watch_id)
        self.link.watches.pop(watch_id, None)
        messages.ended(_ended(watch_id, error))

    # --- watches from the future

    def _wait_for(self, start: pb.StartWatch, error: ApiError) -> None:
        self._future.append(Future(start, self._loop.time() + self._settings.watch_future_revision_s, error))
        self._hub.await_commits(self.link, True)

    def _start_reached(self, messages: "_Messages") -> None:
        if not self._future:
            return
        now, newest = self._loop.time(), self._store.durable_revision
        waiting, self._future = self._future, []
        for future in waiting:
            start = future.start
            if max(start.revision, start.minimum_revision, start.initial_revision) <= newest:
                self._to_start.append(start)
            elif start.id not in self.link.watches:
                continue
            elif future.deadline <= now:
                self._fail_late(future, messages)
            else:
                self._future.append(future)
        self._hub.await_commits(self.link, bool(self._future or self._idle))

    def _fail_late(self, future: Future, messages: "_Messages") -> None:
        if future.start.resumed:
            # It has seen that revision, here or where the logical cluster lived before: no error of its own. Later.
            self._hub.stop(self.link, future.start.id)
            messages.ended(Ended(future.start.id))
        else:
            self._fail(future.start.id, future.error, messages)

    def _until_late(self) -> float | None:
        if not self._future:
            return None
        return max(0.0, min(future.deadline for future in self._future) - self._loop.time())

    async def _wait(self, wake: asyncio.Event, timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await wake.wait()
        except TimeoutError:
            pass


class _Messages:
    """What one turn of catching up says, as messages of bounded size."""

    def __init__(self) -> None:
        self._full: list[pb.WatchBatch] = []
        self._batch = pb.WatchBatch()
        self._entries = self._bytes = 0

    def finish(self) -> list[pb.WatchBatch]:
        self.cut()
        return self._full

    def cut(self) -> None:
        if self._entries:
            self._full.append(self._batch)
            self._batch, self._entries, self._bytes = pb.WatchBatch(), 0, 0

    def _room(self, size: int, is_whole: bool = True) -> pb.WatchBatch:
        """The message for the next entry; unless `is_whole` it belongs to the revision of the one before."""
        full = self._entries >= MAX_EVENTS or self._bytes + size > MAX_BYTES
        if full and (is_whole or self._bytes + size > 12 * MAX_BYTES):
            self.cut()
        self._entries += 1
        self._bytes += size
        return self._batch

    def started(self, watch: int, cluster_id: int, columns: bytes, kind: str, audit: bytes) -> None:
        batch = self._room(30 + len(columns) + len(audit))
        batch.started.add(watch=watch, cluster_id=cluster_id, columns=columns, kind=kind, audit=audit)

    def events(self, watch: int, events: Iterable[Occurrence]) -> None:
        only, last = (watch,), 0
        for type_, revision, json, position in events:
            batch = self._room(120 + len(json), is_whole=bool(position) or revision != last)
            last = revision
            batch.events.add(type=type_, revision=revision, object=json, position=position, watches=only)

    def initial_done(self, watch: int, revision: int) -> None:
        self._room(20).initial_done.add(watch=watch, revision=revision)

    def joined(self, joined: Joined) -> None:
        _add_joined(self._room(30), (joined,))

    def ended(self, ended: Ended) -> None:
        _add_ended(self._room(30 + len(ended.status)), (ended,))


def _add_joined(batch: pb.WatchBatch, joined: Iterable[Joined]) -> None:
    for watch, revision, cluster_id in joined:
        batch.joined.add(watch=watch, revision=revision, cluster_id=cluster_id)


def _add_ended(batch: pb.WatchBatch, ended: Iterable[Ended]) -> None:
    for watch, status, moved, moved_to, revision in ended:
        batch.ended.add(watch=watch, status=status, moved=moved, moved_to=moved_to, revision=revision)


def _ended(watch: int, error: Exception) -> Ended:
    match error:
        case NotOwned():
            return Ended(watch, moved=True, moved_to=error.moved_to)
        case Compacted():
            return Ended(watch, expired(error.revision, error.oldest).body())
        case ApiError():
            return Ended(watch, error.body())
    _log.error("a watch failed", exc_info=error)
    return Ended(watch, InternalError(f"Internal error occurred: {error}").body())

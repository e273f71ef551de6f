"""Watches: a connection that is written to whenever something happens, without a task of its own.

Once a shard has accepted a watch, its connection leaves the HTTP library: an OpenWatch is then all that is kept of it
besides TLS. When the watch ends the connection goes back, ready for the next request.
"""

import asyncio
from collections.abc import Callable, Sequence

import orjson

from kcpfront import tables
from kcpfront.audit.trail import Trail
from kcpfront.exchange import Exchange, Reply
from kcpfront.metrics import Metrics
from kcpfront.negotiation import JSON, PROTOBUF, TABLE, Representation, negotiate_watch
from kcpfront.printers.columns import DEFAULT
from kcpfront.representations import finished, has_protobuf
from kcpfront.responses import CHUNKED, LAST_CHUNK, encode_head
from kcpfront.settings import Settings
from kcpfront.timing_wheel import TimingWheel
from kcpfront.watch_frames import PROTOBUF_STREAM, Frames, frames_for
from kcpfront.watch_options import WatchOptions, start_watch, watch_options
from kcpshard.api.errors import Timeout
from kcpshard.rpc.contract import WatchedEvent, Watcher, WatchHandle

_MAX_EARLY_BYTES = 64 * 1024  # of a next request that a client sends before its watch has ended
_SLICE_EVENTS = 64  # 6 ms if they are Pods to be shown in protobuf that no other watch has asked for yet


class OpenWatch(asyncio.Protocol):
    """One watch: the sink of its events and the protocol of its connection.

    waiting (no answer yet) → open (head sent, connection ours) → closed; or waiting → refused.
    """

    __slots__ = (
        "_accepted", "_closed", "_early", "_frames", "_open_watches", "api_version", "bookmarks", "ends_s", "handle",
        "initial_bookmark", "keep_alive", "pending", "refused", "slot", "status", "transport",
    )  # fmt: skip

    def __init__(self, open_watches: "OpenWatches", api_version: str, options: WatchOptions, keep_alive: bool) -> None:
        self._open_watches = open_watches
        self._accepted: asyncio.Future[None] | None = open_watches.loop.create_future()
        self._frames: Frames | None = None
        self._early = b""
        self._closed: Callable[[], None] | None = None  # of the audit trail
        self.api_version, self.keep_alive = api_version, keep_alive
        self.bookmarks, self.initial_bookmark = options.bookmarks, options.initial_bookmark
        self.ends_s = int(open_watches.loop.time() + options.timeout_s)
        self.handle: WatchHandle | None = None  # None again when closed
        self.transport: asyncio.Transport | None = None
        self.pending: list[bytes | WatchedEvent] | None = None  # what this loop turn has brought
        self.status = b""  # why it was refused or ended
        self.refused = False
        self.slot = 0

    # --- before it is open

    async def accepted(self, deadline: float) -> None:
        """Return when the shard has accepted or refused the watch (`status`). Raises Timeout."""
        assert self._accepted is not None
        timer = self._open_watches.loop.call_at(deadline, self._give_up)
        try:
            await self._accepted
        finally:
            timer.cancel()
            self._accepted = None

    def _give_up(self) -> None:
        if self._accepted is not None and not self._accepted.done():
            self._accepted.set_exception(Timeout("Timeout: the watch was not accepted within the allotted time"))

    def open(self, transport: asyncio.Transport, frames: Frames, head: bytes) -> None:
        self.transport, self._frames = transport, frames
        transport.write(head)
        self._open_watches.opened(self)
        if self.pending or self.status:
            self._open_watches.changed(self)

    def when_closed(self, callback: Callable[[], None]) -> None:
        self._closed = callback

    # --- WatchSink

    def started(self) -> None:
        if self._accepted is not None and not self._accepted.done():
            self._accepted.set_result(None)

    def event(self, event: WatchedEvent) -> None:
        if self.pending is None:
            self.pending = [event]
            if self.transport is not None:
                self._open_watches.changed(self)
        else:
            self.pending.append(event)

    def initial_done(self, revision: int) -> None:
        if self.initial_bookmark:
            self.event(WatchedEvent(0, revision, b""))

    def ended(self, status: bytes) -> None:
        self.status = status or _GONE
        if self._accepted is not None and not self._accepted.done():
            self.refused = True
            self._accepted.set_result(None)
        elif self.transport is not None:
            self._open_watches.changed(self)

    # --- writing

    def flush(self) -> None:
        """Write all that has come; end if that was all."""
        transport, pending = self.transport, self.pending
        if transport is None:
            return
        if pending is not None:
            self.pending = None
            if not self._write(transport, pending):
                return
        if self.status:
            assert self._frames is not None
            transport.write(self._frames.error(self.status))
            self.end()

    def flush_slice(self) -> None:
        """Write the first of what has come; the rest in the next turn, and the next: framing takes time."""
        transport, pending = self.transport, self.pending
        if transport is None or pending is None or len(pending) <= _SLICE_EVENTS:
            self.flush()
            return
        cut = _whole_revisions(pending, _SLICE_EVENTS)
        self.pending = pending[cut:] or None
        if self._write(transport, pending[:cut]) and self.pending:
            self._open_watches.changed(self)

    def _write(self, transport: asyncio.Transport, items: list[bytes | WatchedEvent]) -> bool:
        """False: the client is too slow and has been cut off."""
        transport.write(b"".join([self._framed(item) for item in items]))
        if transport.get_write_buffer_size() <= self._open_watches.settings.slow_watch_bytes:
            return True
        self._open_watches.metrics.slow_watches_cut += 1
        transport.abort()
        self.close()
        return False

    def _framed(self, item: bytes | WatchedEvent) -> bytes:
        assert self._frames is not None
        if isinstance(item, bytes):
            return item
        return self._frames.event(item) if item.type else self._bookmark(item.revision, initial_end=True)

    def _bookmark(self, revision: int, initial_end: bool) -> bytes:
        assert self._frames is not None
        kind = self.handle.kind if self.handle is not None else ""
        return self._frames.bookmark(self.api_version, kind, revision, initial_end)

    def send_bookmark(self) -> None:
        revision = self.handle.revision if self.handle is not None else 0
        if revision and self.transport is not None:
            self.flush()
            if self.transport is not None:
                self.transport.write(self._bookmark(revision, initial_end=False))

    def end(self) -> None:
        """The last chunk; the connection is ready for another request."""
        transport = self.transport
        self.close()
        if transport is not None:
            transport.write(LAST_CHUNK)
            if self.keep_alive and not self._open_watches.stopping:
                self._open_watches.hand_back(transport, self._early)
            else:
                transport.close()

    def close(self) -> None:
        """Stop listening to the shard. The connection is not touched."""
        handle, self.handle = self.handle, None
        if handle is not None:
            handle.close()
        self._open_watches.closed(self)
        self.transport = self.pending = None
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()

    # --- asyncio.Protocol, while open

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()

    def data_received(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > _MAX_EARLY_BYTES and self.transport is not None:
            self.transport.abort()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        if self.handle is not None:
            self.handle.pause()

    def resume_writing(self) -> None:
        if self.handle is not None:
            self.handle.resume()


_GONE = orjson.dumps(Timeout("the watch ended").status())


def _whole_revisions(pending: Sequence[bytes | WatchedEvent], wanted: int) -> int:
    """Where to cut so that the events of one revision go in one write: a client that is cut off between them would
    resume after that revision and miss the rest."""
    cut = wanted
    while cut < len(pending) and _revision(pending[cut - 1]) == _revision(pending[cut]) != 0:
        cut += 1
    return cut


def _revision(item: bytes | WatchedEvent) -> int:
    """0 for what may be cut: frames, and initial events, which are resumed by position."""
    return 0 if isinstance(item, bytes) or item.position else item.revision


class OpenWatches:
    """All open watches of this front, and the one timer that ends them and sends their bookmarks."""

    def __init__(
        self, settings: Settings, metrics: Metrics, hand_back: Callable[[asyncio.Transport, bytes], None]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.settings, self.metrics, self.hand_back = settings, metrics, hand_back
        self.stopping = False
        self._all: set[OpenWatch] = set()
        self._changed: dict[OpenWatch, None] = {}  # in order, each once
        self._wheel: TimingWheel[OpenWatch] = TimingWheel(int(self.loop.time()))
        self._timer = self.loop.call_later(1.0, self._tick)

    def __len__(self) -> int:
        return len(self._all)

    def opened(self, watch: OpenWatch) -> None:
        self._all.add(watch)
        self._schedule(watch)

    def closed(self, watch: OpenWatch) -> None:
        if watch in self._all:
            self._all.remove(watch)
            self._wheel.remove(watch, watch.slot)

    def changed(self, watch: OpenWatch) -> None:
        """Something is to be written to it: at the end of this loop turn, so that a burst is one write."""
        if not self._changed:
            self.loop.call_soon(self._flush)
        self._changed[watch] = None

    def _flush(self) -> None:
        changed, self._changed = self._changed, {}
        for watch in changed:
            watch.flush_slice()

    def _schedule(self, watch: OpenWatch) -> None:
        due = watch.ends_s
        if watch.bookmarks:
            due = min(due, int(self.loop.time()) + self.settings.bookmark_s)
        watch.slot = self._wheel.add(watch, due)

    def _tick(self) -> None:
        now = int(self.loop.time())
        self._timer = self.loop.call_later(1.0, self._tick)
        for watch in self._wheel.take(now):
            if watch.bookmarks:
                watch.send_bookmark()
            if watch.ends_s <= now:
                watch.end()
            elif watch.transport is not None:
                self._schedule(watch)

    def stop(self) -> None:
        """End every watch cleanly; clients come back elsewhere and resume."""
        self.stopping = True
        self._timer.cancel()
        for watch in list(self._all):
            watch.flush()
            watch.end()


# A refused watch comes without what an audit record says; of this refusal it is known.
_REFUSED = {403: b'{"decision":"forbid"}'}


def _code(watch: OpenWatch) -> int:
    """0: it was not refused."""
    code: int = orjson.loads(watch.status).get("code", 500) if watch.refused else 0
    return code


class WatchHandler:
    def __init__(self, watcher: Watcher, open_watches: OpenWatches, trail: Trail | None = None) -> None:
        self._watcher, self._open_watches, self._trail = watcher, open_watches, trail

    async def watch(self, exchange: Exchange) -> Reply | None:
        info = exchange.info
        shown = negotiate_watch(exchange.headers.get("Accept") or "", has_protobuf(exchange))
        if refusal := tables.wrong_shape(shown.as_, is_list=False):
            raise refusal
        include = tables.include_object(info)
        options = watch_options(info)
        api_version = f"{info.group}/{info.version}" if info.group else info.version
        watch = OpenWatch(self._open_watches, api_version, options, exchange.keep_alive)
        watch.handle = self._watcher.watch(start_watch(exchange, shown.as_ == TABLE), watch)
        try:
            await watch.accepted(exchange.deadline)
            if exchange.audit is not None and watch.handle is not None:
                exchange.audit.told(watch.handle.audit or _REFUSED.get(_code(watch), b""), watch.status)
            if not watch.refused:
                self._open(exchange, watch, shown, include)
                return None
        except BaseException:
            watch.close()
            raise
        watch.close()
        after_s = (orjson.loads(watch.status).get("details") or {}).get("retryAfterSeconds")
        headers = b"Retry-After: %d\r\n" % after_s if after_s else b""
        return finished(exchange, shown, _code(watch), watch.status, headers)

    def _open(self, exchange: Exchange, watch: OpenWatch, shown: Representation, include: str) -> None:
        assert watch.handle is not None
        printer = tables.printer_for(exchange.info, watch.handle.columns) if shown.as_ == TABLE else DEFAULT
        content_type = PROTOBUF_STREAM if shown.media_type is PROTOBUF else JSON
        head = encode_head(exchange, 200, content_type, CHUNKED)
        exchange.started = True
        transport = exchange.connection.hand_over(watch)
        watch.open(transport, frames_for(shown, printer, include), head)
        self._record(exchange, watch)

    def _record(self, exchange: Exchange, watch: OpenWatch) -> None:
        trail, trace = self._trail, exchange.audit
        if trail is not None and trace is not None:
            trace.answer = b""
            trail.started(exchange, trace)
            watch.when_closed(lambda: trail.complete(exchange, trace, 200))

"""WatchClient: a Watcher for one shard. Keeps every watch going over breaks; its readers notice nothing.

The I/O around `watch_ledger`: two streams, opened together and given up together, because only then is it known what
the shard still holds of this front.
"""

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import grpc
import grpc.aio

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import MovedWatch, WatchSink
from kcpshard.rpc.messages import ProtocolMismatch, check_hello, front_hello
from kcpshard.rpc.watch_ledger import FrontWatch, WatchLedger

_log = logging.getLogger(__name__)

MAX_CONTROLS, MAX_CONTROL_BYTES = 256, 256 * 1024  # of a message
HELLO_TIMEOUT_S = 10.0
# A shard restarts in about a second: the first tries come fast. Then often enough to be back soon, rare enough to be
# nothing for a thousand fronts.
FIRST_RETRY_S, MAX_RETRY_S = 0.02, 1.0
LATER_S = 0.1  # before a watch is started again that the shard has put off

# Unique in the process whatever the number of shards, so that a watch that moves never meets its own past.
_ids = itertools.count(1)


class StreamBroken(Exception):
    """The shard or the way to it is gone."""


class WatchStream(Protocol):
    async def read(self) -> pb.WatchBatch:
        """Raises StreamBroken at the end."""

    async def write(self, batch: pb.WatchControlBatch) -> None: ...


class WatchTransport(Protocol):
    """Opens streams; leaving the context cancels the stream. See `GrpcWatchTransport` and kcpshard.local_watch."""

    def watch(self) -> AbstractAsyncContextManager[WatchStream]: ...
    def catch_up(self) -> AbstractAsyncContextManager[WatchStream]: ...


class WatchClient:
    """Serve it with `run()` in a task; cancel the task to end. `on_moved` is set by whoever routes (MovedWatch)."""

    def __init__(self, transport: WatchTransport, process: str) -> None:
        self._transport, self._process = transport, process
        self._wake = asyncio.Event()
        self._ledger = WatchLedger(self._wake.set, lambda: next(_ids))
        self._later: asyncio.TimerHandle | None = None
        self.links = 0  # opened so far
        # Called after each message: events have been given, or the closed revision has moved.
        self.on_progress: Callable[[], None] = lambda: None

    @property
    def on_moved(self) -> MovedWatch | None:
        return self._ledger.on_moved

    @on_moved.setter
    def on_moved(self, moved: MovedWatch | None) -> None:
        self._ledger.on_moved = moved

    @property
    def closed_revision(self) -> int:
        """Every event of a live watch at or below it has been given; 0 without a link."""
        return self._ledger.closed_revision

    def watch(self, start: pb.StartWatch, sink: WatchSink) -> FrontWatch:
        return self._ledger.add(start, sink)

    def statistics(self) -> dict[str, int]:
        return {**self._ledger.statistics(), "links": self.links}

    def give_up(self) -> None:
        """Before it is cancelled for good: every watch is reported to `on_moved`."""
        self._ledger.give_up()

    async def run(self) -> None:
        """Until cancelled. Without watches there is no link."""
        retry_s = FIRST_RETRY_S
        while True:
            while not self._ledger.watches:
                self._wake.clear()
                await self._wake.wait()
            opened = self.links
            try:
                await self._serve()
            except* (StreamBroken, TimeoutError, ProtocolMismatch) as group:
                reason = group.exceptions[0]
                level = logging.WARNING if isinstance(reason, ProtocolMismatch) else logging.INFO
                _log.log(level, "watches of %s are without a shard: %s", self._process, reason)
            finally:
                self._ledger.break_off()
            if (task := asyncio.current_task()) is not None and task.cancelling():
                # A TaskGroup whose tasks fail in the turn in which it is cancelled reports only their failures.
                raise asyncio.CancelledError
            retry_s = FIRST_RETRY_S if self.links > opened else min(retry_s * 2, MAX_RETRY_S)
            await asyncio.sleep(retry_s * random.uniform(0.75, 1.25))  # noqa: S311 - spreads retries, hides nothing

    async def _serve(self) -> None:
        hello = front_hello(self._process)
        hello.link = random.getrandbits(64)
        async with self._transport.watch() as live:
            await _greet(live, hello)
            async with self._transport.catch_up() as catch_up:
                await _greet(catch_up, hello)
                self.links += 1
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._read(live, self._ledger.feed_live))
                    tasks.create_task(self._read(catch_up, self._ledger.feed_catch_up))
                    await self._write(catch_up)

    async def _read(self, stream: WatchStream, feed: Callable[[pb.WatchBatch], None]) -> None:
        while True:
            feed(await stream.read())
            self.on_progress()

    async def _write(self, stream: WatchStream) -> None:
        while True:
            while self._ledger.has_controls:
                await stream.write(self._ledger.take_controls(MAX_CONTROLS, MAX_CONTROL_BYTES))
            if self._ledger.later and self._later is None:
                self._later = asyncio.get_running_loop().call_later(LATER_S, self._queue_later)
            self._wake.clear()
            await self._wake.wait()

    def _queue_later(self) -> None:
        self._later = None
        self._ledger.queue_later()


async def _greet(stream: WatchStream, hello: pb.Hello) -> None:
    async with asyncio.timeout(HELLO_TIMEOUT_S):
        await stream.write(pb.WatchControlBatch(hello=hello))
        first = await stream.read()
    check_hello(first.hello if first.HasField("hello") else None)


class GrpcWatchTransport:
    """Streams over the channel that `channel` gives, which stays its owner's; asked for each new pair of streams."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel]) -> None:
        self._channel = channel

    def watch(self) -> AbstractAsyncContextManager[WatchStream]:
        return _open(self._channel().stream_stream("/kcp.shard.v1.ShardWatch/Watch"))

    def catch_up(self) -> AbstractAsyncContextManager[WatchStream]:
        return _open(self._channel().stream_stream("/kcp.shard.v1.ShardWatch/CatchUp"))


@contextlib.asynccontextmanager
async def _open(method: Any) -> AsyncIterator[WatchStream]:
    call = method()
    try:
        yield _GrpcStream(call)
    finally:
        call.cancel()


class _GrpcStream:
    __slots__ = ("_call",)

    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> pb.WatchBatch:
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise StreamBroken(f"{error.code().name}: {error.details()}") from None
        if message is grpc.aio.EOF:
            raise StreamBroken("the shard has ended the stream")
        return pb.WatchBatch.FromString(message)

    async def write(self, batch: pb.WatchControlBatch) -> None:
        try:
            await self._call.write(batch.SerializeToString())
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise StreamBroken(f"cannot write: {type(error).__name__}") from None

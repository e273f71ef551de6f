"""One Session stream from the caller's side: it keeps every request until that is answered, over any number of breaks.

When the stream is lost it is opened again, at once and then with a backoff that a restart of the shard (about a second)
hardly notices. Requests are sent again in their order, writes marked as repeats. A shard that stays away longer than
PATIENCE_S fails whoever waits; only writes that may have reached it wait on, until their deadline, since nobody can
say yet what became of them.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import grpc.aio

from kcpshard.api.errors import ApiError, ServiceUnavailable
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.frames import FRAME_BYTES, FramedBody, Outbox
from kcpshard.rpc.messages import (
    LARGE_BYTES,
    WRITES,
    ProtocolMismatch,
    before_request_frame,
    cancel_entry,
    check_hello,
    credit_entry,
    read_large,
    request_entry,
)
from kcpshard.rpc.pending_calls import Pending

_log = logging.getLogger(__name__)

PATIENCE_S = 10.0
HELLO_TIMEOUT_S = 5.0
BACKOFF_S = (0.0, 0.02, 0.05, 0.05, 0.1, 0.1, 0.2, 0.2, 0.5, 1.0)  # before the n-th try

_SESSION = "/kcp.shard.v1.ShardSession/Session"


class StreamEnded(Exception):
    """The shard closed the stream in good order."""


def _never(_channel: grpc.aio.Channel) -> bool:
    return False


class SessionLane:
    """`on_hello` and `on_settled` tell the client; `open_channel` makes this lane's own channel."""

    def __init__(
        self,
        name: str,
        hello: pb.Hello,
        open_channel: Callable[[], grpc.aio.Channel],
        on_hello: Callable[[pb.Hello], None],
        on_settled: Callable[[Pending[Any], bool], None],
        is_outdated: Callable[[grpc.aio.Channel], bool] = _never,
    ) -> None:
        """`is_outdated` says whether a channel should not be connected again."""
        self._is_outdated = is_outdated
        self.name = name
        self._hello = pb.RequestBatch(hello=hello).SerializeToString()
        self._open_channel, self._on_hello, self._on_settled = open_channel, on_hello, on_settled
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(self._wake)
        self._sleeper: asyncio.Future[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._pending: dict[int, Pending[Any]] = {}
        self.connected = asyncio.Event()
        self.refusal: ApiError | None = None  # why nothing can be asked now
        self.sent_again = self.streams_opened = 0

    # --- requests

    def send(self, pending: Pending[Any]) -> None:
        """It holds a credit now."""
        self._pending[pending.id] = pending
        if self.connected.is_set():
            self._transmit(pending)

    def cancel(self, pending: Pending[Any]) -> None:
        if self.connected.is_set() and pending.id in self._pending:
            if pending.upload is not None:
                pending.upload.drop()
            self._outbox.put(cancel_entry(pending.id))

    def credit(self, pending: Pending[Any], frames: int) -> None:
        if self.connected.is_set():
            self._outbox.put(credit_entry(pending.id, frames))

    def settle(self, pending: Pending[Any]) -> None:
        self._on_settled(pending, self._pending.pop(pending.id, None) is not None)

    def fail_waiting(self, error: ApiError, everything: bool = False) -> None:
        """Fail what certainly had no effect; with `everything` also writes of which nobody knows."""
        for pending in list(self._pending.values()):
            if everything or not pending.first_sent_us:
                pending.fail(error)

    def _transmit(self, pending: Pending[Any]) -> None:
        request = pending.request
        request.id = pending.id
        request.timeout_ms = max(1, int((pending.deadline - self._loop.time()) * 1000))
        if request.verb in WRITES:
            if pending.first_sent_us:
                request.repeat, request.first_sent_us = True, pending.first_sent_us
            else:
                pending.first_sent_us = time.time_ns() // 1000
        body = request.body  # each look at it is a copy
        if len(body) <= FRAME_BYTES:
            self._outbox.put(request_entry(request))
        else:
            pending.upload = FramedBody(self._outbox, partial(before_request_frame, request), windowed=False)
            pending.upload.add(body, last=True)

    # --- the stream

    async def run(self) -> None:
        channel = self._open_channel()
        session = channel.stream_stream(_SESSION)
        failures = 0
        self._start_patience()
        try:
            while True:
                try:
                    await self._converse(session)
                except* (
                    grpc.RpcError,
                    asyncio.InvalidStateError,
                    ProtocolMismatch,
                    TimeoutError,
                    StreamEnded,
                ) as group:
                    failures = 1 if self.connected.is_set() else failures + 1
                    self._lost(group.exceptions[0])
                if (me := asyncio.current_task()) is not None and me.cancelling():
                    # A cancel that meets the stream's own end is swallowed by the TaskGroup's error (Python 3.11).
                    raise asyncio.CancelledError
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])
                if self._is_outdated(channel):
                    await channel.close()
                    channel = self._open_channel()
                    session = channel.stream_stream(_SESSION)
        finally:
            self.connected.clear()
            if self._patience is not None:
                self._patience.cancel()
            self.fail_waiting(ServiceUnavailable("the connection to the shard was closed"), everything=True)
            await channel.close()

    async def _converse(self, session: Any) -> None:
        call = session()
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                await call.write(self._hello)
                first = await call.read()
            batch = pb.ResponseBatch.FromString(_message(first))
            self._on_hello(check_hello(batch.hello if batch.HasField("hello") else None))
            self._found()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write(call))
                await self._read(call)
        finally:
            call.cancel()

    async def _read(self, call: Any) -> None:
        pending, read, parse = self._pending, call.read, pb.ResponseBatch.FromString
        while True:
            message = _message(await read())
            if len(message) < LARGE_BYTES:
                for response in parse(message).responses:
                    found = pending.get(response.id)
                    if found is not None and found.receive(response, response.body):
                        self.settle(found)
                continue
            for response, body in read_large(message):
                found = pending.get(response.id)
                if found is not None and found.receive(response, body):
                    self.settle(found)

    async def _write(self, call: Any) -> None:
        take, write = self._outbox.take, call.write
        while True:
            message = take()
            if message:
                await write(message)
            else:
                self._sleeper = self._loop.create_future()
                await self._sleeper

    def _wake(self) -> None:
        sleeper = self._sleeper
        if sleeper is not None:
            self._sleeper = None
            if not sleeper.done():
                sleeper.set_result(None)

    # --- its coming and going

    def _found(self) -> None:
        self.connected.set()
        self.refusal = None
        self.streams_opened += 1
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self.streams_opened > 1:
            self.sent_again += len(self._pending)
        for pending in list(self._pending.values()):
            self._transmit(pending)

    def _lost(self, error: BaseException) -> None:
        if self.connected.is_set():
            _log.info("lane %s lost: %s", self.name, _described(error))
            self.connected.clear()
            self._start_patience()
        self._outbox.clear()
        for pending in list(self._pending.values()):
            if not pending.restart():
                pending.fail(ServiceUnavailable("the connection to the shard was lost in the middle of the answer"))
        if _is_refusal(error):
            self._refuse(ServiceUnavailable(f"the shard refuses this process: {_described(error)}", retry_after_s=5))

    def _start_patience(self) -> None:
        if self._patience is None:
            error = ServiceUnavailable("the shard of this logical cluster cannot be reached", retry_after_s=1)
            self._patience = self._loop.call_later(PATIENCE_S, self._refuse, error)

    def _refuse(self, error: ApiError) -> None:
        if self.refusal is None:
            _log.warning("lane %s: %s", self.name, error.message)
        self.refusal = error
        self.fail_waiting(error)


def _message(read: Any) -> bytes:
    if read is grpc.aio.EOF or not read:  # an empty message is the last one of a shard that stops
        raise StreamEnded("the shard closed the stream")
    return bytes(read)


def _is_refusal(error: BaseException) -> bool:
    """Trying again at once is of no use."""
    if isinstance(error, ProtocolMismatch):
        return True
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in (
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    )


def _described(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error) or type(error).__name__

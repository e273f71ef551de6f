"""The Session service: messages in, verbs asked, messages out. No meaning here.

`SessionStream` is one stream without its transport: bytes in through `receive`, bytes out through `take`.
`SessionService` is the gRPC edge: a reader and a writer per stream. What verbs answer at once is in the outbox when
`receive` returns and leaves with the next message.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import grpc.aio

from kcpshard.api.errors import InternalError, RequestEntityTooLarge, TooManyRequests
from kcpshard.api.requests import Answer
from kcpshard.execution import INTERNAL_ERROR, Execution, Job, error_answer
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.frames import FRAME_BYTES, Assembly, BodyTooLarge, FramedBody, Outbox
from kcpshard.rpc.messages import REQUEST_BODY_BYTES, ProtocolMismatch, answer_entry, before_answer_frame, check_hello
from kcpshard.upgraded_requests import UpgradeService

_log = logging.getLogger(__name__)

CONGESTED_BYTES = 8 * 1024 * 1024  # of answers a front has not read: no more requests of its stream are read meanwhile
ASSEMBLING_BYTES = 64 * 1024 * 1024  # of request bodies coming in on one stream; 429 beyond


class SessionStream:
    """One Session stream of one front; a Receiver of Execution."""

    def __init__(self, execution: Execution, wake: Callable[[], None]) -> None:
        self._execution = execution
        self._outbox = Outbox(wake)
        self._bodies: dict[int, FramedBody] = {}  # answers going out in frames
        self._incoming: dict[int, tuple[pb.Request, Assembly]] = {}
        self._incoming_bytes = 0
        self._is_closed = self._is_draining = False
        self.jobs: dict[int, Job] = {}

    # --- towards the shard

    def receive(self, message: bytes) -> None:
        batch = pb.RequestBatch.FromString(message)
        execute = self._execution.execute
        for request in () if self._is_draining else batch.requests:
            if request.more:
                self._assemble(request)
            else:
                execute(request, self)
        # An empty repeated field is skipped by its length: iterating each of them costs more than a request's decoding.
        if batch.frames:
            for frame in batch.frames:
                self._add_frame(frame)
        if batch.cancels:
            for id_ in batch.cancels:
                self._cancel(id_)
        if batch.credits:
            for credit in batch.credits:
                self._grant(credit)

    def drain(self) -> None:
        """Look at no further request; answers under way go on, with their credits and cancels."""
        self._is_draining = True
        self._incoming.clear()

    def close(self) -> None:
        """The stream has ended: reads stop, writes go on, nothing more is sent."""
        self._is_closed = True
        self._execution.abandon(self)
        self._release_bodies()
        self._incoming.clear()

    def _assemble(self, request: pb.Request) -> None:
        if self._incoming_bytes > ASSEMBLING_BYTES:
            self._refuse(request, TooManyRequests("too many large bodies at the same time", retry_after_s=1))
            return
        assembly = Assembly(REQUEST_BODY_BYTES)
        assembly.add(request.body)
        self._incoming[request.id] = (request, assembly)
        self._incoming_bytes += len(request.body)

    def _add_frame(self, frame: pb.RequestFrame) -> None:
        found = self._incoming.get(frame.id)
        if found is None:  # refused or cancelled
            return
        request, assembly = found
        try:
            assembly.add(frame.body)
        except BodyTooLarge:
            self._forget_incoming(frame.id)
            self._refuse(request, RequestEntityTooLarge("Request entity too large: limit is 3145728"))
            return
        self._incoming_bytes += len(frame.body)
        if not frame.more:
            self._forget_incoming(frame.id)
            request.body = assembly.joined()
            self._execution.execute(request, self)

    def _forget_incoming(self, id_: int) -> None:
        if found := self._incoming.pop(id_, None):
            self._incoming_bytes = self._incoming_bytes - found[1].size if self._incoming else 0

    def _refuse(self, request: pb.Request, error: Exception) -> None:
        self.answer(request.id, error_answer(error, request))

    def _cancel(self, id_: int) -> None:
        self._forget_incoming(id_)
        self._drop(id_)
        self._execution.cancel(self, id_)

    def _grant(self, credit: pb.FrameCredit) -> None:
        if body := self._bodies.get(credit.id):
            body.grant(credit.frames)

    # --- towards the front

    def take(self) -> bytes:
        return self._outbox.take()

    @property
    def is_congested(self) -> bool:
        return self._outbox.bytes > CONGESTED_BYTES

    @property
    def is_idle(self) -> bool:
        """Every request has been answered and every answer taken."""
        return not self.jobs and not self._bodies and not self._outbox.bytes

    def answer(self, id_: int, answer: Answer) -> None:
        if self._is_closed:
            return
        if self._bodies:
            self._drop(id_)  # an error ends a list that has begun
        try:
            if len(answer.body) <= FRAME_BYTES:
                self._outbox.put(answer_entry(id_, answer))
            else:
                self._frame(id_, answer, windowed=answer.info is not None).add(answer.body, last=True)
        except (TypeError, ValueError):  # what no message can hold must end its request, not the stream
            _log.exception("an answer that cannot be sent")
            self._outbox.put(answer_entry(id_, Answer(500, InternalError(INTERNAL_ERROR).body())))

    async def piece(self, id_: int, answer: Answer) -> None:
        if self._is_closed:
            return
        body = self._bodies.get(id_) or self._frame(id_, answer, windowed=True)
        if answer.info is not None:
            # The frames' head came with the first piece, what goes around the list comes with the last one.
            body.encode = partial(self._encode, id_, answer)
        body.add(answer.body, last=answer.info is not None)
        if not body.is_drained and answer.info is None:
            drained = asyncio.Event()
            body.on_drained = drained.set
            await drained.wait()

    def _frame(self, id_: int, answer: Answer, windowed: bool) -> FramedBody:
        body = self._bodies[id_] = FramedBody(self._outbox, partial(self._encode, id_, answer), windowed)
        return body

    def _encode(self, id_: int, answer: Answer, size: int, first: bool, more: bool) -> bytes:
        if not more:
            self._bodies.pop(id_, None)
        return before_answer_frame(id_, answer, size, first, more)

    def _drop(self, id_: int) -> None:
        if body := self._bodies.pop(id_, None):
            body.drop()

    def _release_bodies(self) -> None:
        """Writers of pieces must not wait for a reader that is gone."""
        for body in self._bodies.values():
            body.drop()
            if body.on_drained:
                body.on_drained()
        self._bodies.clear()
        self._outbox.clear()


class SessionService:
    """The gRPC servicer of ShardSession. `hello` makes the shard's first message."""

    def __init__(
        self, execution: Execution, hello: Callable[[], pb.Hello], upgrades: UpgradeService | None = None
    ) -> None:
        self._execution, self._hello, self._upgrades = execution, hello, upgrades
        self._streams: set[_Transport] = set()
        self._is_draining = False

    def add_to(self, server: grpc.aio.Server) -> None:
        # Messages stay bytes: entries are encoded one by one as they are made, and a message is their concatenation.
        handler = grpc.stream_stream_rpc_method_handler(self.session)
        handlers = {"Session": handler}
        if self._upgrades is not None:
            handlers["Connect"] = grpc.stream_stream_rpc_method_handler(self._upgrades.connect)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("kcp.shard.v1.ShardSession", handlers),))

    async def session(self, _requests: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        try:
            batch = pb.RequestBatch.FromString(first)
            peer = check_hello(batch.hello if batch.HasField("hello") else None)
        except ProtocolMismatch as mismatch:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(mismatch))
            return
        if self._is_draining:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the shard is stopping")
        await context.write(pb.ResponseBatch(hello=self._hello()).SerializeToString())
        _log.info("session of %s opened", peer.process)
        transport = _Transport(self._execution, context)
        self._streams.add(transport)
        try:
            await transport.run(first)
        finally:
            self._streams.discard(transport)
            _log.info("session of %s ended", peer.process)

    async def drain(self) -> None:
        """Take no further request, answer those taken, then end each stream with an empty message.

        What a front sent meanwhile was never looked at; it sends it again to whoever serves next.
        """
        self._is_draining = True
        if self._upgrades is not None:
            self._upgrades.close()
        for transport in self._streams:
            transport.drain()
        for transport in list(self._streams):
            await transport.ended.wait()


class _Transport:
    """Moves the bytes of one SessionStream over its gRPC stream."""

    def __init__(self, execution: Execution, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        self._context = context
        self._stream = SessionStream(execution, self._wake)
        self._sleeper: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._is_draining = False
        self.ended = asyncio.Event()

    async def run(self, first: bytes) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read(first))
                await self._write()
                reader.cancel()
        finally:
            self._stream.close()
            self.ended.set()

    def drain(self) -> None:
        self._is_draining = True
        self._stream.drain()
        self._wake()

    async def _read(self, message: bytes) -> None:
        read, receive = self._context.read, self._stream.receive
        while message is not grpc.aio.EOF:
            receive(message)
            while self._stream.is_congested:
                self._room.clear()
                await self._room.wait()
            message = await read()
        self.drain()  # the front has closed its side

    async def _write(self) -> None:
        take, write = self._stream.take, self._context.write
        while True:
            message = take()
            if message:
                await write(message)
                if not self._room.is_set() and not self._stream.is_congested:
                    self._room.set()
            elif self._is_draining and self._stream.is_idle:
                await write(b"")
                return
            else:
                self._sleeper = asyncio.get_running_loop().create_future()
                await self._sleeper

    def _wake(self) -> None:
        sleeper = self._sleeper
        if sleeper is not None:
            self._sleeper = None
            if not sleeper.done():
                sleeper.set_result(None)

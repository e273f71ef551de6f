"""One agent's stream to one shard, kept open over any breaks. Requests that a break meets fail: whoever asks looks at
the state again anyway."""

import asyncio
import itertools
import logging
import random
from collections.abc import Callable
from typing import Any, Protocol

import grpc
import grpc.aio

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.messages import PROTOCOL, SOFTWARE, SYNC_OBJECT_BYTES
from kcpsyncer.kube_client import Failure

_log = logging.getLogger(__name__)
WINDOW_BYTES = 4 * 1024 * 1024  # of objects that a shard may be ahead of us
MAX_REQUESTS = 64  # under way; others wait
TIMEOUT_S = 15.0
HELLO_S = 10.0
FIRST_RETRY_S, MAX_RETRY_S = 0.05, 5.0


class Owner(Protocol):
    """Who has the streams to all shards."""

    def opened(self, stream: "ShardStream") -> pb.SyncSubscribe:
        """What to ask for."""

    def received(self, stream: "ShardStream", batch: pb.SyncDownBatch) -> list[pb.SyncObject]:
        """As `Feed.take`."""


class Ended(Exception):
    """The shard has closed the stream."""


class ShardStream:
    """`run` until cancelled. `number` of the shard, 0 until it has said hello."""

    def __init__(self, dial: Callable[[], Any], agent: pb.SyncAgent, process: str, owner: Owner) -> None:
        self._dial, self._agent, self._process, self._owner = dial, agent, process, owner
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[pb.Response]] = {}
        self._slots = asyncio.Semaphore(MAX_REQUESTS)
        self._out = pb.SyncUpBatch()
        self._wake = asyncio.Event()
        self.connected = asyncio.Event()
        self.number = 0
        self.revision = 0  # everything up to it has been received
        self.channel: Any = None
        self.refusal = ""

    async def ask(self, request: pb.Request) -> pb.Response:
        """Raises Failure if there is no answer."""
        try:
            async with asyncio.timeout(TIMEOUT_S), self._slots:
                await self.connected.wait()
                return await self._asked(request)
        except TimeoutError:
            raise Failure(0, "Unreachable", "no answer in time") from None

    async def _asked(self, request: pb.Request) -> pb.Response:
        id_ = request.id = next(self._ids)
        request.timeout_ms = int(TIMEOUT_S * 1000)
        future = self._waiting[id_] = asyncio.get_running_loop().create_future()
        try:
            self._out.requests.append(request)
            self._wake.set()
            response: pb.Response = await future
            return response
        finally:
            self._waiting.pop(id_, None)

    def subscribe(self, asked: pb.SyncSubscribe) -> None:
        if self.connected.is_set():
            self._out.subscribe.CopyFrom(asked)
            self._wake.set()

    async def run(self) -> None:
        retry_s = FIRST_RETRY_S
        async with self._dial() as self.channel:
            while True:
                try:
                    await self._converse()
                except* (grpc.RpcError, asyncio.InvalidStateError, Ended, TimeoutError) as group:
                    self._lost(group.exceptions[0])
                if (me := asyncio.current_task()) is not None and me.cancelling():
                    raise asyncio.CancelledError
                retry_s = FIRST_RETRY_S if self.connected.is_set() else min(retry_s * 2, MAX_RETRY_S)
                self.connected.clear()
                await asyncio.sleep(retry_s * random.uniform(0.75, 1.25))  # noqa: S311 - spreads retries

    async def _converse(self) -> None:
        call = shard_pb2_grpc.ShardSyncStub(self.channel).Sync()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(HELLO_S):
                hello = pb.Hello(protocol=PROTOCOL, process=self._process, software=SOFTWARE)
                await call.write(pb.SyncUpBatch(hello=hello, agent=self._agent))
                first = _batch(await call.read())
            self.number = first.hello.shard
            self._out = pb.SyncUpBatch(subscribe=self._owner.opened(self), credit_bytes=WINDOW_BYTES)
            self._wake.set()
            self.connected.set()
            self.refusal = ""
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write(call))
                while True:
                    self._receive(_batch(await call.read()))
        finally:
            call.cancel()

    def _receive(self, batch: pb.SyncDownBatch) -> None:
        for response in batch.responses:
            future = self._waiting.get(response.id)
            if future is not None and not future.done():
                future.set_result(response)
        self._out.missing.extend(self._owner.received(self, batch))
        if batch.revision:
            self.revision = self._out.taken = batch.revision
        if batch.objects:
            self._out.credit_bytes += sum(len(each.object) + SYNC_OBJECT_BYTES for each in batch.objects)
            self._wake.set()

    async def _write(self, call: Any) -> None:
        while True:
            self._wake.clear()
            out, self._out = self._out, pb.SyncUpBatch()
            if out.ByteSize():
                await call.write(out)
            else:
                await self._wake.wait()

    def _lost(self, error: BaseException) -> None:
        said = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.aio.AioRpcError) else str(error)
        if said != self.refusal:
            self.refusal = said
            _log.info("the stream of %s to shard %s: %s", self._agent.name, self.number or "?", said or "no answer")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Failure(0, "Unreachable", "the stream to the shard is lost"))


def _batch(read: Any) -> pb.SyncDownBatch:
    if read is grpc.aio.EOF:
        raise Ended("the shard has closed the stream")
    assert isinstance(read, pb.SyncDownBatch)
    return read

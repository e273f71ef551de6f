"""The Sync service: moves the batches of AgentStreams over gRPC, for whoever proves to be a Cluster's agent."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import orjson

from kcpshard.api.errors import ApiError, Forbidden, ServiceUnavailable
from kcpshard.api.unconverted import NotConverted
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.contract import Result
from kcpshard.rpc.messages import ProtocolMismatch, check_hello
from kcpshard.syncing.agent_stream import AgentStream, TooMuch
from kcpshard.syncing.agents import Agents
from kcpshard.syncing.identity import asks_as

_log = logging.getLogger(__name__)
ASK_S = 5.0
RECHECK_S = 30.0  # whether the Cluster is still there and the agent still its own
OVERDUE_S = 300.0  # an agent that cannot be checked for so long is let go

Ask = Callable[[pb.Request, float], Awaitable[Result]]


class SyncService(shard_pb2_grpc.ShardSyncServicer):
    """`ask` reaches any logical cluster. `hello` makes the shard's first message."""

    def __init__(self, agents: Agents, hello: Callable[[], pb.Hello], ask: Ask, serves: Callable[[str], bool]) -> None:
        self._agents, self._hello, self._ask, self._serves = agents, hello, ask, serves
        self._transports: set[_Transport] = set()
        self._is_draining = False

    def add_to(self, server: grpc.aio.Server) -> None:
        """Not as a servicer of the whole service: tunnels are another module's, and their messages stay bytes."""
        handler = grpc.stream_stream_rpc_method_handler(
            self.Sync,
            request_deserializer=pb.SyncUpBatch.FromString,
            response_serializer=pb.SyncDownBatch.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("kcp.shard.v1.ShardSync", {"Sync": handler}),)
        )

    async def Sync(self, _batches: object, context: Any) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        try:
            peer = check_hello(first.hello if first.HasField("hello") else None)
            identity = asks_as(context, first.agent)
            await self._check(first.agent, identity)
        except (ProtocolMismatch, Forbidden) as refusal:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(refusal))
            return
        except ApiError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, error.message)
            return
        if self._is_draining:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the shard is stopping")
        await context.write(
            pb.SyncDownBatch(hello=self._hello(), serves_registration=self._serves(first.agent.cluster))
        )
        _log.info("agent of %s in %s (%s) connected", first.agent.name, first.agent.cluster, peer.process)
        transport = _Transport(self._agents, first, context, lambda: self._check(first.agent, identity))
        self._transports.add(transport)
        try:
            await transport.run()
        finally:
            self._transports.discard(transport)
            _log.info("agent of %s in %s disconnected", first.agent.name, first.agent.cluster)

    async def drain(self) -> None:
        self._is_draining = True
        for transport in list(self._transports):
            transport.stop()
            await transport.ended.wait()

    async def _check(self, agent: pb.SyncAgent, identity: bytes) -> None:
        """Whether the Cluster is there, and known to that identity. Raises Forbidden, ServiceUnavailable, Timeout."""
        request = pb.Request(
            verb=pb.GET, cluster=agent.cluster, group="cluster.example.dev", version="v1alpha1", resource="clusters",
            name=agent.name, identity=identity, user_agent="kcpshard",
        )  # fmt: skip
        found = await self._ask(request, ASK_S)
        if found.code in (401, 403, 404):
            raise Forbidden(f"no Cluster {agent.name} of this agent is registered in {agent.cluster}")
        if found.code != 200:
            raise ServiceUnavailable(f"the Cluster {agent.name} cannot be looked at now: {found.code}")
        if orjson.loads(found.body)["metadata"]["uid"] != agent.uid:
            raise Forbidden(f"the Cluster {agent.name} in {agent.cluster} is another one")


class _Ended(Exception):
    """The stream is over, in good order."""


class _Transport:
    def __init__(
        self, agents: Agents, first: pb.SyncUpBatch, context: Any, check: Callable[[], Awaitable[None]]
    ) -> None:
        self._agents, self._first, self._context, self._check = agents, first, context, check
        self._wake = asyncio.Event()
        self._stopping = False
        self._stream: AgentStream | None = None
        self.ended = asyncio.Event()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        self._stream = self._agents.open(self._first.agent, self._wake.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(self._stream))
                tasks.create_task(self._recheck())
                await self._write(self._stream)
        except* _Ended:
            pass
        except* (Forbidden, TooMuch) as group:
            with suppress(Exception):
                await self._context.abort(grpc.StatusCode.PERMISSION_DENIED, str(group.exceptions[0]))
        finally:
            self._agents.close(self._stream)
            self.ended.set()

    async def _read(self, stream: AgentStream) -> None:
        stream.receive(self._first)
        while (batch := await self._context.read()) is not grpc.aio.EOF:
            stream.receive(batch)
        raise _Ended

    async def _write(self, stream: AgentStream) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                batch = stream.next_batch()
            except NotConverted as reason:
                try:
                    await reason.settle()
                except ApiError as error:
                    _log.info("an object cannot be converted for an agent: %s", error.message)
                    stream.put_off()
                    await asyncio.sleep(1)
                self._wake.set()
                continue
            if batch is None:
                await self._wake.wait()
            else:
                await self._context.write(batch)
        raise _Ended

    async def _recheck(self) -> None:
        loop = asyncio.get_running_loop()
        checked = loop.time()
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                await self._check()
                checked = loop.time()
            except Forbidden:
                raise
            except ApiError:
                if loop.time() - checked > OVERDUE_S:
                    raise _Ended from None

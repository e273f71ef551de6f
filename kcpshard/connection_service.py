"""The edge of connections: streams of fronts that use an offer, streams of agents that call back. No meaning here."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import grpc.aio

from kcpshard.api.errors import ApiError, NotFound, ServiceUnavailable
from kcpshard.connections.agent_tunnels import AgentTunnels
from kcpshard.connections.offers import Offers
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.connection_stream import PieceStream, relay, tell
from kcpshard.rpc.contract import Connection

Context = Any  # grpc.aio.ServicerContext


class ConnectionService:
    """`connect` of ShardSession, `tunnel` of ShardSync."""

    def __init__(self, offers: Offers, tunnels: AgentTunnels) -> None:
        self._offers, self._tunnels = offers, tunnels
        self._ends: set[asyncio.Event] = set()
        self._is_stopping = False

    def add_to(self, server: grpc.aio.Server) -> None:
        _add(server, "kcp.shard.v1.ShardSession", "UseConnection", self.connect)

    def add_tunnels_to(self, server: grpc.aio.Server) -> None:
        _add(server, "kcp.shard.v1.ShardSync", "Tunnel", self.tunnel)

    async def use(self, ticket: bytes, head: bytes) -> Connection:
        """For a front in the same process. Raises ApiError."""
        return await self._offers.use(ticket, head)

    def close(self) -> None:
        """The shard stops: connections are cut, as those of a server that exits are."""
        self._is_stopping = True
        for end in self._ends:
            end.set()

    async def connect(self, _pieces: object, context: Context) -> None:
        stream = PieceStream(context)
        try:
            await self._connect(stream)
        except ApiError as error:
            await tell(stream, error)
        finally:
            await stream.close()

    async def _connect(self, stream: PieceStream) -> None:
        first = await stream.receive()
        if first is None:
            return
        if self._is_stopping:
            raise _stopping()
        backend = await self._offers.use(first.ticket, first.head)
        try:
            await stream.send(pb.ConnectPiece(head=backend.head))
            await self._until_end(relay(stream, backend))
            await stream.finish()
        finally:
            await backend.close()

    async def tunnel(self, _pieces: object, context: Context) -> None:
        """A stream of an agent that was asked for it."""
        ended = asyncio.Event()
        stream = PieceStream(context, ended.set)
        try:
            first = await stream.receive()
            if first is None:
                return
            if not self._tunnels.arrived(first.ticket, stream):
                raise NotFound("nobody waits for this connection")
            await self._until_end(_waited(ended))
        except ApiError as error:
            await tell(stream, error)
        finally:
            await stream.close()

    async def _until_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Of the work. Raises ApiError, also at the end of the shard: what was cut off must not look whole."""
        end = asyncio.Event()
        self._ends.add(end)
        try:
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(_done(work, end))
                await end.wait()
                if not working.done() and self._is_stopping:
                    raise _stopping()
        except* ApiError as broken:
            raise broken.exceptions[0] from None
        finally:
            self._ends.discard(end)


def _stopping() -> ServiceUnavailable:
    return ServiceUnavailable("the shard is stopping", retry_after_s=1)


async def _waited(event: asyncio.Event) -> None:
    await event.wait()


async def _done(work: Coroutine[Any, Any, None], end: asyncio.Event) -> None:
    try:
        await work
    finally:
        end.set()


def _add(server: grpc.aio.Server, service: str, method: str, behaviour: Callable[..., Any]) -> None:
    """Messages stay bytes: most of them only pass through."""
    handler = grpc.stream_stream_rpc_method_handler(behaviour)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))

"""A connection over a gRPC stream of its own, seen from either end, and the relay between two connections.

What is written waits for the stream's window, so a reader that is slow slows its writer, over any number of hops.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import grpc
import grpc.aio
import orjson

from kcpshard.api.errors import ApiError, ServiceUnavailable
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Connection

PIECE_BYTES = 64 * 1024
CONNECT_METHOD = "/kcp.shard.v1.ShardSession/UseConnection"
TUNNEL_METHOD = "/kcp.shard.v1.ShardSync/Tunnel"
_LOST = "the connection was lost"


class Stream(Protocol):
    """What a call of a client and a servicer's context have in common."""

    async def read(self) -> Any: ...
    async def write(self, message: Any) -> None: ...


class StatusReceived(ApiError):
    """A Status that another process has made, passed on as it is."""

    def __init__(self, document: bytes) -> None:
        found = orjson.loads(document)
        super().__init__(str(found.get("message") or ""))
        self.code, self.reason, self._document = int(found.get("code") or 500), str(found.get("reason") or ""), document

    def body(self) -> bytes:
        return self._document


class PieceStream:
    """One end of a stream of ConnectPieces; a Connection once `head` is there. `end` is called by `close`."""

    def __init__(self, stream: Stream, end: Callable[[], object] = lambda: None) -> None:
        self._stream, self._end = stream, end
        self._reading: asyncio.Task[Any] | None = None
        self.head = b""

    async def receive(self) -> pb.ConnectPiece | None:
        """None at the end. Raises ApiError of a Status, and where the stream broke."""
        # A read that is cancelled would cancel gRPC's whole call, or lose a message: it waits for the next who asks.
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(_read(self._stream))
        try:
            message = await asyncio.shield(self._reading)
        except (grpc.RpcError, grpc.aio.UsageError, asyncio.InvalidStateError) as error:
            raise _lost(error) from None
        self._reading = None
        if message is grpc.aio.EOF:
            return None
        piece = pb.ConnectPiece.FromString(message)
        if piece.status:
            raise StatusReceived(piece.status)
        return piece

    async def send(self, piece: pb.ConnectPiece) -> None:
        try:
            await self._stream.write(piece.SerializeToString())
        except (grpc.RpcError, grpc.aio.UsageError, asyncio.InvalidStateError) as error:
            raise _lost(error) from None

    async def answered(self) -> None:
        """Wait for the head of the answer. Raises ApiError."""
        piece = await self.receive()
        if piece is None or not piece.head:
            raise ServiceUnavailable(_LOST)
        self.head = piece.head

    async def read(self) -> bytes:
        while (piece := await self.receive()) is not None:
            if piece.data:
                return piece.data
            if piece.end:
                return b""
        raise ServiceUnavailable(_LOST)

    async def finish(self) -> None:
        """All has been written. Raises ApiError."""
        await self.send(pb.ConnectPiece(end=True))

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            await self.send(pb.ConnectPiece(data=data[start : start + PIECE_BYTES]))

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.add_done_callback(_forget)
            self._reading.cancel()
        self._end()


async def _read(stream: Stream) -> Any:
    return await stream.read()


def _forget(task: asyncio.Task[Any]) -> None:
    """What nobody waits for any more may fail."""
    if not task.cancelled():
        task.exception()


def _lost(error: BaseException) -> ServiceUnavailable:
    if isinstance(error, grpc.aio.AioRpcError) and error.code() == grpc.StatusCode.UNIMPLEMENTED:
        return ServiceUnavailable("the shard is of an older version and cannot connect to pods")
    return ServiceUnavailable(_LOST)


async def open_connection(channel: grpc.aio.Channel, ticket: bytes, head: bytes, timeout_s: float) -> Connection:
    """From a front: what the ticket stands for. Raises ApiError."""
    call = channel.stream_stream(CONNECT_METHOD)()
    found = PieceStream(call, call.cancel)
    try:
        async with asyncio.timeout(timeout_s):
            await found.send(pb.ConnectPiece(ticket=ticket, head=head))
            await found.answered()
    except TimeoutError:
        call.cancel()
        raise ServiceUnavailable("there was no connection in time", retry_after_s=1) from None
    except BaseException:
        call.cancel()
        raise
    return found


async def relay(one: Connection, other: Connection) -> None:
    """Until either has ended. What came before its end has been written then. Raises ApiError where one broke."""
    async with _either() as begin:
        begin(_pump(one, other))
        begin(_pump(other, one))


async def _pump(source: Connection, sink: Connection) -> None:
    while data := await source.read():
        await sink.write(data)


class _Ended(Exception):
    """One direction has: the other is not waited for."""


@asynccontextmanager
async def _either() -> AsyncIterator[Callable[[Awaitable[None]], object]]:
    async def until_ended(work: Awaitable[None]) -> None:
        await work
        raise _Ended

    try:
        async with asyncio.TaskGroup() as tasks:
            yield lambda work: tasks.create_task(until_ended(work))
    except* _Ended:
        pass
    except* ApiError as broken:
        raise _first(broken) from None


def _first(group: BaseExceptionGroup[ApiError]) -> ApiError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


async def tell(stream: PieceStream, error: ApiError) -> None:
    """Say why there is no connection; whoever does not listen any more need not know."""
    with suppress(ApiError):
        await stream.send(pb.ConnectPiece(status=error.body()))

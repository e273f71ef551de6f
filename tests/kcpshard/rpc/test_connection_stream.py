"""A connection over a stream, and two of them joined."""

import asyncio
from typing import Any

import grpc.aio
import pytest

from kcpshard.api.errors import NotFound, ServiceUnavailable
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.connection_stream import PIECE_BYTES, PieceStream, relay, tell


class Wire:
    def __init__(self, *messages: Any) -> None:
        self.messages, self.sent = list(messages), []

    async def read(self) -> Any:
        return self.messages.pop(0)

    async def write(self, message: bytes) -> None:
        self.sent.append(pb.ConnectPiece.FromString(message))


class End:
    """One side of a relay: gives what it is told to give, keeps what it gets."""

    def __init__(self, *pieces: bytes, error: Exception | None = None, stays: bool = False) -> None:
        self.head, self.got = b"", b""
        self._pieces, self._error, self._stays = list(pieces), error, stays

    async def read(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._stays:
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error
        return b""

    async def write(self, data: bytes) -> None:
        self.got += data

    async def close(self) -> None: ...


def piece(**fields: bytes | bool) -> bytes:
    return pb.ConnectPiece(**fields).SerializeToString()  # type: ignore[arg-type]


async def test_long_data_goes_in_pieces_and_an_end_is_an_end() -> None:
    wire = Wire(piece(head=b"h"), piece(data=b"a"), piece(end=True), grpc.aio.EOF)
    stream = PieceStream(wire)
    await stream.answered()
    assert (stream.head, await stream.read(), await stream.read()) == (b"h", b"a", b"")
    await stream.write(b"x" * (PIECE_BYTES + 1))
    assert [len(each.data) for each in wire.sent] == [PIECE_BYTES, 1]
    with pytest.raises(ServiceUnavailable, match="was lost"):
        await stream.read()


async def test_a_status_is_passed_on_as_it_is() -> None:
    wire = Wire()
    await tell(PieceStream(wire), NotFound('pods "a" not found', name="a"))
    with pytest.raises(Exception, match="not found") as told:
        await PieceStream(Wire(wire.sent[0].SerializeToString())).answered()
    assert told.value.code == 404  # type: ignore[attr-defined]
    assert told.value.body() == wire.sent[0].status  # type: ignore[attr-defined]


async def test_a_stream_that_ends_before_its_head() -> None:
    with pytest.raises(ServiceUnavailable, match="was lost"):
        await PieceStream(Wire(grpc.aio.EOF)).answered()


async def test_a_relay_ends_with_either_side_and_has_given_all_that_came() -> None:
    one, other = End(stays=True), End(b"a", b"b")
    await relay(one, other)
    assert one.got == b"ab"


async def test_a_relay_tells_a_break_from_an_end() -> None:
    with pytest.raises(ServiceUnavailable, match="broke"):
        await relay(End(stays=True), End(b"a", error=ServiceUnavailable("it broke")))

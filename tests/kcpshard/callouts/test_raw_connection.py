"""One request, one answer, or another protocol from there on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.callouts.raw_connection import Place, RawConnection, connect, encode_request


@contextlib.asynccontextmanager
async def answering(answer: bytes, echo: bool = False) -> AsyncIterator[Place]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        while echo and (data := await reader.read(1024)):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Place("127.0.0.1", server.sockets[0].getsockname()[1], None, "")
    finally:
        server.close()


async def whole(connection: RawConnection) -> bytes:
    found = b""
    while piece := await connection.read():
        found += piece
    return found


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
    ],
)
async def test_a_body_comes_without_its_framing(answer: bytes) -> None:
    async with answering(answer) as place:
        found = await connect(place, "GET", "/log", [("Host", "x")])
        assert (orjson.loads(found.head)["code"], await whole(found)) == (200, b"hello")
        await found.write(b"nobody reads this")
        await found.close()


async def test_after_a_switch_bytes_pass_both_ways() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n"
    async with answering(head + b"early", echo=True) as place:
        found = await connect(place, "POST", "/exec", [("Host", "x")])
        assert orjson.loads(found.head)["code"] == 101
        assert await found.read() == b"early"
        await found.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await found.read() == b"GET / HTTP/1.1\r\n\r\n"
        await found.close()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "the connection broke before there was an answer"),
        (b"SSH-2.0-x\r\n\r\n", "the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "the connection broke before there was an answer"),
    ],
)
async def test_what_is_no_answer(answer: bytes, text: str) -> None:
    async with answering(answer) as place:
        with pytest.raises(ServiceUnavailable, match=text):
            await connect(place, "GET", "/", [])


async def test_half_a_body_is_told_from_a_whole_one() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello") as place:
        found = await connect(place, "GET", "/", [])
        assert await found.read() == b"hello"
        with pytest.raises(ServiceUnavailable, match="in the middle"):
            await found.read()
        await found.close()


async def test_nobody_there() -> None:
    async with answering(b"") as place:
        pass
    with pytest.raises(ServiceUnavailable, match="cannot be connected to"):
        await connect(place, "GET", "/", [])


def test_a_request_is_only_one() -> None:
    assert encode_request("GET", "/a?b=c", [("Host", "x")]) == b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"
    for target, headers in (("/a b", []), ("/a", [("A", "b\r\nC: d")]), ("/a\r\nb", [])):
        with pytest.raises(ValueError):
            encode_request("GET", target, headers)

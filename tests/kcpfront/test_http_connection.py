"""Conversations with one connection on a transport that remembers; what needs a socket is in test_http_edge."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from kcpfront.exchange import Exchange, Reply
from kcpfront.http_connection import HttpConnection
from kcpfront.settings import Settings

HEAD = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


class Transport:
    def __init__(self) -> None:
        self.written, self.reading, self.closed, self.aborted = b"", True, False, False
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.written += b"".join(pieces)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str) -> None:
        return None


class Edge:
    """Answers with the target; `gate` holds answers back."""

    def __init__(self) -> None:
        self.settings, self.loop, self.is_draining = Settings(), asyncio.get_running_loop(), False
        self.read_buffer = memoryview(bytearray(4096))
        self.open: set[HttpConnection] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.handle: Callable[[Exchange], Awaitable[Reply | None]] = self.echo
        self.seen: list[str] = []

    async def serve(self, exchange: Exchange) -> Reply | None:
        exchange.audit_id = "id"
        self.seen.append(exchange.target)
        await self.gate.wait()
        return await self.handle(exchange)

    async def echo(self, exchange: Exchange) -> Reply:
        return Reply(200, exchange.target.encode())

    async def whole_body(self, exchange: Exchange) -> Reply:
        return Reply(200, b"%d" % len(await exchange.read_body(3 << 20)))

    def opened(self, connection: HttpConnection) -> None:
        self.open.add(connection)

    def closed(self, connection: HttpConnection) -> None:
        self.open.discard(connection)


class Talk:
    def __init__(self) -> None:
        self.edge, self.transport = Edge(), Transport()
        self.connection = HttpConnection(self.edge)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]

    async def say(self, data: bytes) -> bytes:
        """Let everything happen that can; what has been written since the last time."""
        before = len(self.transport.written)
        self.connection.feed(data)
        for _ in range(10):
            await asyncio.sleep(0)
        return self.transport.written[before:]


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    made = Talk()
    yield made
    made.connection.connection_lost(None)
    await asyncio.sleep(0)


async def test_a_head_in_pieces(talk: Talk) -> None:
    for piece in (b"GE", b"T /a", b"b HTTP/1.1\r\nHo", b"st: a\r\n"):
        assert await talk.say(piece) == b""
    assert (await talk.say(b"\r\n")).endswith(b"\r\n\r\n/ab")


async def test_what_another_listener_reads_meanwhile_does_not_mix_in(talk: Talk) -> None:
    """Another loop, another thread: it may fill its buffer between our read and our parsing."""
    other = Talk()
    for each, target in ((talk, 1), (other, 2)):
        each.connection.get_buffer(-1)[: len(HEAD % target)] = HEAD % target
    for each in (talk, other):
        each.connection.buffer_updated(len(HEAD % 1))
    await talk.say(b"")
    assert talk.edge.seen == ["/1"] and other.edge.seen == ["/2"]
    other.connection.connection_lost(None)


async def test_requests_that_come_early_wait_and_reading_stops(talk: Talk) -> None:
    talk.edge.gate.clear()
    await talk.say(HEAD % 1 + HEAD % 2 + HEAD % 3)
    assert talk.edge.seen == ["/1"] and not talk.transport.reading
    talk.edge.gate.set()
    await talk.say(b"")
    assert talk.edge.seen == ["/1", "/2", "/3"] and talk.transport.reading


async def test_a_broken_request_is_refused_after_those_before_it(talk: Talk) -> None:
    talk.edge.gate.clear()
    assert await talk.say(HEAD % 1 + b"NON SENSE\r\n\r\n") == b""
    talk.edge.gate.set()
    heard = await talk.say(HEAD % 9)
    assert heard.index(b"/1") < heard.index(b"405 Method Not Allowed")
    assert talk.edge.seen == ["/1"]


async def test_a_request_without_a_host_is_refused(talk: Talk) -> None:
    assert b"missing required Host header" in await talk.say(b"GET / HTTP/1.1\r\n\r\n")
    assert talk.edge.seen == []


async def test_nobody_reads_a_body_that_nobody_asked_for(talk: Talk) -> None:
    talk.edge.gate.clear()
    talk.edge.handle = talk.edge.whole_body
    await talk.say(POST % 600_000 + b"x" * 300_000)
    assert not talk.transport.reading
    talk.edge.gate.set()
    await talk.say(b"")
    assert talk.transport.reading
    assert (await talk.say(b"x" * 300_000)).endswith(b"600000")


async def test_an_answer_before_the_end_of_the_body_ends_the_connection_gently(talk: Talk) -> None:
    assert b"Connection: close" in await talk.say(POST % 10 + b"12345")
    assert not talk.transport.closed
    await talk.say(b"67890")
    assert talk.transport.closed


async def test_a_trailer_is_no_header(talk: Talk) -> None:
    talk.edge.handle = talk.edge.whole_body
    data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nHost: b\r\n\r\n"
    assert (await talk.say(data)).endswith(b"\r\n\r\n2")
    assert (await talk.say(HEAD % 1)).endswith(b"\r\n\r\n0")  # and the next request is read as one


async def test_endless_heads_are_cut_off(talk: Talk) -> None:
    await talk.say(b"GET / HTTP/1.1\r\n")
    for number in range(80):
        await talk.say(b"A-%d: " % number + b"x" * 1000 + b"\r\n")
    assert b"431 Request Header Fields Too Large" in talk.transport.written


async def test_times(talk: Talk) -> None:
    now, settings = talk.edge.loop.time(), Settings()
    assert talk.connection.due == pytest.approx(now + settings.handshake_s, abs=1)
    await talk.say(HEAD % 1)
    assert talk.connection.due == pytest.approx(now + settings.keepalive_s, abs=1)
    await talk.say(b"GET / HT")
    assert talk.connection.due == pytest.approx(now + 32, abs=1)
    talk.connection.look(now + 40)
    assert talk.transport.closed


async def test_a_slow_body_is_cut_off(talk: Talk) -> None:
    talk.edge.handle = talk.edge.whole_body
    await talk.say(POST % 10 + b"1")
    talk.connection.look(talk.edge.loop.time() + 60)
    assert not talk.transport.aborted
    talk.connection.look(talk.edge.loop.time() + 80)
    assert talk.transport.aborted


async def test_a_client_that_leaves_cancels_its_request(talk: Talk) -> None:
    talk.edge.gate.clear()
    await talk.say(HEAD % 1)
    talk.connection.connection_lost(None)
    await asyncio.sleep(0)
    assert talk.edge.open == set()


async def test_what_follows_an_upgrade_goes_to_who_takes_over(talk: Talk) -> None:
    heard: list[bytes] = []

    class Tunnel(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            heard.append(data)

    async def take_over(exchange: Exchange) -> None:
        exchange.connection.hand_over(Tunnel())

    talk.edge.handle = take_over
    await talk.say(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nraw")
    assert isinstance(talk.transport.protocol, Tunnel) and heard == [b"raw"]
    assert talk.edge.open == set() and talk.transport.reading


async def test_a_connection_that_is_going_away_serves_no_more(talk: Talk) -> None:
    talk.edge.gate.clear()
    await talk.say(HEAD % 1 + HEAD % 2)
    talk.edge.is_draining = True
    talk.edge.gate.set()
    await talk.say(b"")
    assert talk.edge.seen == ["/1"] and talk.transport.closed


async def test_a_fault_of_ours_does_not_leave_the_client_waiting(talk: Talk) -> None:
    async def fail(exchange: Exchange) -> None:
        raise ConnectionAbortedError("half an answer is out")

    talk.edge.handle = fail
    await talk.say(HEAD % 1)
    assert talk.transport.aborted


_POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
_NEXT = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _NEXT, id="CL+TE"),
        pytest.param(_POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + _NEXT, id="TE+CL"),
        pytest.param(_POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", id="two lengths"),
        pytest.param(_POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", id="the same length twice"),
        pytest.param(_POST + b"Content-Length: 4, 4\r\n\r\nabcd", id="a list of lengths"),
        pytest.param(_POST + b"Content-Length: +4\r\n\r\nabcd", id="a length with a sign"),
        pytest.param(_POST + b"Content-Length : 4\r\n\r\nabcd", id="space before the colon"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", id="bare LF"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n", id="bare LF behind a header"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n", id="bare CR"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", id="folded header"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", id="NUL"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two hosts"),
        pytest.param(b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", id="space in the target"),
        pytest.param(b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n", id="control character in the target"),
        pytest.param(_POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + _NEXT, id="unknown encoding"),
        pytest.param(
            _POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + _NEXT, id="encoding behind chunked"
        ),
    ],
)
async def test_what_two_servers_could_read_differently_is_refused(talk: Talk, data: bytes) -> None:
    answer = await talk.say(data)
    assert answer[9:12] in (b"400", b"501")
    assert b"Connection: close" in answer and b"smuggled" not in answer
    assert talk.edge.seen == []
    assert await talk.say(_NEXT) == b""


@pytest.mark.parametrize("chunk", [b"0\n\n", b"0x0\r\n\r\n", b"-1\r\n\r\n", b"1\r\nab\r\n0\r\n\r\n"])
async def test_nothing_behind_a_broken_chunk_is_a_request(talk: Talk, chunk: bytes) -> None:
    await talk.say(_POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + _NEXT)
    assert "/smuggled" not in talk.edge.seen

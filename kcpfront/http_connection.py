"""One HTTP/1.1 connection: bytes ↔ requests and answers. The only module that knows the HTTP library.

httptools (llhttp) parses and tells fine from broken requests; answers are written as the bytes that handlers made. What
a request means is not known here: `serve` gets an Exchange and may take the whole connection over (a watch).
Requests of one connection are answered one after the other; one that comes early waits, and reading stops meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Protocol

import httptools
from multidict import CIMultiDict

from kcpfront.exchange import Exchange, Reply
from kcpfront.responses import encode_reply
from kcpfront.settings import Settings
from kcpshard.api.errors import MethodNotAllowed, RequestEntityTooLarge

# Below one TLS record: a copy is cheaper than another record. Above, a copy of a list is 100 µs and fresh memory.
_JOINED_BYTES = 16 * 1024
# Of a body that nobody has asked for yet; more is left in the kernel.
_UNREAD_BODY_BYTES = 256 * 1024
# All lines of a head together. One line is bounded by the settings.
_MAX_HEAD_BYTES = 64 * 1024
# What follows an answer given before the end of the body is read and thrown away this long: a close with unread bytes
# in the kernel would reset the connection, and the client might never see the answer.
_LINGER_S = 2.0
# Encrypting that much takes about half a millisecond.
_AT_ONCE_BYTES = 256 * 1024
# A client that takes nothing of its answer for so long is cut off: what waits for it is memory of all.
_TAKE_S = 30.0
_HEAD_S = 32.0  # kube-apiserver's ReadHeaderTimeout
_BODY_S = 75.0  # a request's own time is up after 60
_NEVER = float("inf")

Serve = Callable[[Exchange], Awaitable[Reply | None]]


class Edge(Protocol):
    """What a connection needs of the listener's side."""

    settings: Settings
    loop: asyncio.AbstractEventLoop
    is_draining: bool
    read_buffer: memoryview
    """For all connections of this loop, and of no other: what has been read is parsed before this loop reads again, but
    OpenSSL lets other threads run while it fills it."""

    def serve(self, exchange: Exchange) -> Awaitable[Reply | None]:
        """Raises ConnectionError if the client is gone or half an answer is out that cannot be finished."""

    def opened(self, connection: "HttpConnection") -> None: ...
    def closed(self, connection: "HttpConnection") -> None: ...


class _Request:
    """One parsed head, and its body as far as it has come."""

    __slots__ = ("_limit", "_pieces", "_waiter", "connection", "headers", "is_whole", "keep_alive", "method", "size",
                 "target")  # fmt: skip

    def __init__(
        self, connection: "HttpConnection", method: str, target: str, headers: "CIMultiDict[str]", keep_alive: bool
    ) -> None:
        self.connection, self.method, self.target, self.headers = connection, method, target, headers
        self.keep_alive = keep_alive
        self.is_whole = False
        self.size = 0
        self._pieces: list[bytes] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._limit = 0

    def feed(self, piece: bytes) -> None:
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(piece)
        self.size += len(piece)
        if self._waiter is None:
            if self.size > _UNREAD_BODY_BYTES:
                self.connection.pause_reading()
        elif self.size > self._limit:
            self._wake()

    def finish(self) -> None:
        self.is_whole = True
        if self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read_body(self, limit: int) -> bytes:
        if not self.is_whole:
            await self._wait(limit)
        if self.size > limit:
            raise _too_large(limit)
        pieces = self._pieces
        if not pieces:
            return b""
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _wait(self, limit: int) -> None:
        declared = self.headers.get("Content-Length")
        if declared is not None and int(declared) > limit:
            raise _too_large(limit)
        if self.size > limit:
            return
        if (self.headers.get("Expect") or "").lower() == "100-continue":
            self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._limit = limit
        self._waiter = self.connection.loop.create_future()
        self.connection.resume_reading()
        try:
            await self._waiter
        finally:
            self._waiter = None


def _too_large(limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"Request entity too large: limit is {limit}")


class HttpConnection(asyncio.BufferedProtocol):
    """idle ⇄ busy (`_task` answers the first of the requests read) → lingering → closed; or busy → handed over.

    `due`: loop time after which `look` closes it: while idle, while a head or a body is slow to come.
    """

    __slots__ = (
        "_certificate", "_edge", "_head_bytes", "_headers", "_is_lingering", "_is_reading", "_parser", "_queue",
        "_receiving", "_refusal", "_rest", "_room", "_target", "_task", "_transport", "due", "loop",
    )  # fmt: skip

    def __init__(self, edge: Edge) -> None:
        self._edge, self.loop = edge, edge.loop
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._target, self._headers = b"", CIMultiDict[str]()
        self._head_bytes = 0
        self._receiving: _Request | None = None  # its body is still coming
        self._queue: deque[_Request] | None = None  # read before their turn; one read's worth at most
        self._task: asyncio.Task[None] | None = None
        self._refusal = b""  # the answer to what could not be parsed, after those before it
        self._rest: bytes | None = None  # what came behind a request to upgrade; not HTTP any more
        self._room: asyncio.Future[None] | None = None  # made while the client takes too little
        self._certificate: bytes | None = None
        self._is_reading, self._is_lingering = True, False
        self.due = self.loop.time() + edge.settings.handshake_s

    # --- asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._edge.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        if self._task is not None:  # a client that goes away takes its call to the shard with it
            self._task.cancel()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)  # the next write finds out

    def eof_received(self) -> None:
        return None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._edge.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.feed(self._edge.read_buffer[:nbytes])

    def pause_writing(self) -> None:
        if self._room is None:
            self._room = self.loop.create_future()

    def resume_writing(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # --- parsing

    def feed(self, data: memoryview | bytes) -> None:
        if self._parser is None or self._refusal:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._rest = bytes(data[upgrade.args[0] :])
            self.pause_reading()
            return
        except httptools.HttpParserInvalidMethodError:
            error = MethodNotAllowed("the server does not allow this method on the requested resource")
            self._refuse(b"405 Method Not Allowed", error.body(), b"application/json")
            return
        except httptools.HttpParserError:
            self._refuse(b"400 Bad Request")
            return
        if self._target and not self._refusal:  # the head is not whole yet
            if not self._head_bytes:
                self.due = min(self.due, self.loop.time() + _HEAD_S)
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._receiving is not None:  # a trailer: nobody here wants one
            return
        if len(value) > self._edge.settings.max_line_bytes:
            self._head_bytes = _MAX_HEAD_BYTES + 1
        self._headers.add(name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))

    def on_headers_complete(self) -> None:
        parser, headers, target = self._parser, self._headers, self._target
        assert parser is not None
        if self._head_bytes > _MAX_HEAD_BYTES or len(target) > self._edge.settings.max_line_bytes:
            self._refuse(b"431 Request Header Fields Too Large")
        elif len(headers.getall("Host", ())) != 1:
            if "Host" in headers:  # which of them somebody before us went by, nobody knows
                self._refuse(b"400 Bad Request", b"400 Bad Request: too many Host headers")
            elif parser.get_http_version() == "1.1":
                self._refuse(b"400 Bad Request", b"400 Bad Request: missing required Host header")
        if not self._refusal and headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
            self._refuse(b"501 Not Implemented", b"Unsupported transfer encoding")
        if self._refusal:
            return
        self._target, self._headers, self._head_bytes = b"", CIMultiDict(), 0
        stays = parser.should_keep_alive() and not parser.should_upgrade()
        made = _Request(self, _text(parser.get_method()), target.decode("latin-1"), headers, stays)
        self._receiving = made
        if self._task is None:
            self._start(made)
        else:
            if self._queue is None:
                self._queue = deque()
            self._queue.append(made)
            self.pause_reading()

    def on_body(self, piece: bytes) -> None:
        if self._receiving is not None and not self._is_lingering:
            self._receiving.feed(piece)

    def on_message_complete(self) -> None:
        if self._receiving is not None:
            self._receiving.finish()
            self._receiving = None
        if self._is_lingering:
            self._close()
        elif self._task is not None:
            self.due = _NEVER

    # --- one request after the other

    def _start(self, request: _Request) -> None:
        self.due = self.loop.time() + _BODY_S if self._receiving is request else _NEVER
        self._task = self.loop.create_task(self._answer(request))

    async def _answer(self, request: _Request) -> None:
        keep_alive = request.keep_alive and not self._edge.is_draining
        exchange = Exchange(
            request.method, request.target, request.headers, request.read_body, self.certificate, self, keep_alive
        )
        try:
            reply = await self._edge.serve(exchange)
            if reply is not None:
                if not request.is_whole:
                    exchange.keep_alive = False  # the rest of the body is not worth reading
                if len(reply.body) <= _AT_ONCE_BYTES:
                    self.write_all(encode_reply(exchange, reply))
                else:
                    await self._write_slowly(encode_reply(exchange, reply))
        except ConnectionError:
            self.abort()
        except BaseException:
            self.abort()
            raise
        else:
            self._answered(request, exchange.keep_alive)

    def _answered(self, request: _Request, keep_alive: bool) -> None:
        self._task = None
        if self._transport is None:
            return
        if not keep_alive or self._edge.is_draining:
            self._close_after(request)
        elif self._queue:
            self._start(self._queue.popleft())
        elif self._refusal:
            self._send_refusal()
        else:
            self.due = self.loop.time() + self._edge.settings.keepalive_s
            if not self._is_reading:
                self.resume_reading()

    def _close_after(self, request: _Request) -> None:
        if request.is_whole:
            self._close()
        else:
            self._is_lingering = True
            self.due = self.loop.time() + _LINGER_S
            self.resume_reading()

    def _refuse(self, status: bytes, body: bytes = b"", media: bytes = b"text/plain; charset=utf-8") -> None:
        """Nothing of the request is echoed, and nothing more is read."""
        body = body or status
        head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        self._refusal = head % (status, media, len(body)) + body
        if self._task is None:
            self._send_refusal()

    def _send_refusal(self) -> None:
        if self._transport is not None:
            self._transport.write(self._refusal)
            self._is_lingering = True
            self.due = self.loop.time() + _LINGER_S
            self.resume_reading()

    # --- kcpfront.exchange.Connection

    def write(self, data: bytes | memoryview) -> None:
        if self._transport is None:
            raise ConnectionResetError("the client is gone")
        self._transport.write(data)

    def write_all(self, pieces: Sequence[bytes]) -> None:
        if self._transport is None:
            raise ConnectionResetError("the client is gone")
        if sum(map(len, pieces)) < _JOINED_BYTES:
            self._transport.write(b"".join(pieces))
        else:
            self._transport.writelines(pieces)

    async def _write_slowly(self, pieces: Sequence[bytes]) -> None:
        """Much, slice by slice as the client takes it, the loop free in between: encryption takes its time."""
        for piece in pieces:
            view = memoryview(piece)
            for start in range(0, len(view), _AT_ONCE_BYTES):
                self.write(view[start : start + _AT_ONCE_BYTES])
                await asyncio.sleep(0)
                await self.drain()

    async def drain(self) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        if self._room is not None:
            due, self.due = self.due, self.loop.time() + _TAKE_S
            await self._room
            self.due = due

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        transport = self._transport
        if transport is None or transport.is_closing() or self._queue:
            raise ConnectionResetError("the client is gone, or did not wait for an answer without end")
        self._let_go()
        transport.set_protocol(protocol)
        if not self._is_reading:
            transport.resume_reading()
        if self._rest:
            self.loop.call_soon(protocol.data_received, self._rest)
        return transport

    # --- its end

    def certificate(self) -> bytes | None:
        """DER of the client's verified certificate."""
        if self._certificate is None and self._transport is not None:
            ssl_object = self._transport.get_extra_info("ssl_object")
            self._certificate = (ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None) or b""
        return self._certificate or None

    def peer_address(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return peer[0] if isinstance(peer, tuple) else ""

    def look(self, now: float) -> None:
        """Close it if its time is up."""
        if now >= self.due:
            if self._task is None:
                self._close()
            else:
                self.abort()

    def close_if_idle(self) -> None:
        if self._task is None:
            self._close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        if self._is_reading and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._is_reading and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _let_go(self) -> None:
        """Of the transport, and of the parser, which holds this object."""
        if self._transport is not None:
            self._transport = self._parser = None
            self._edge.closed(self)


@lru_cache(64)
def _text(method: bytes) -> str:
    return method.decode("latin-1")

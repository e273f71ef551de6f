"""aiohttp's low-level server ↔ Exchange: the only module that knows the HTTP library.

aiohttp parses requests and keeps connections; answers are written to the transport as the bytes we made, because its
own responses cost more than the rest of a request here. A watch takes its connection away from aiohttp altogether.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import StreamReader, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

from kcpfront.exchange import Exchange, Reply
from kcpfront.responses import encode_reply
from kcpfront.settings import Settings
from kcpshard.api.errors import MethodNotAllowed, RequestEntityTooLarge

_log = logging.getLogger(__name__)

# Below one TLS record: a copy is cheaper than another record. Above, a copy of a list is 100 µs and fresh memory.
_JOINED_BYTES = 16 * 1024
# Encrypting that much takes under a millisecond.
_AT_ONCE_BYTES = 512 * 1024

Handle = Callable[[Exchange], Awaitable[Reply | None]]


class _Written(web.StreamResponse):
    """Tells aiohttp that the answer is on its way already. Has no state of a request, so two of them serve all."""

    def __init__(self, keep_alive: bool) -> None:
        super().__init__()
        self._stays = keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._stays

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class _HttpConnection:
    """The connection of one request, and the way to its body."""

    __slots__ = ("_request",)

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request

    def write(self, data: bytes | memoryview) -> None:
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        transport.write(data)

    def write_all(self, pieces: Sequence[bytes]) -> None:
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        if sum(map(len, pieces)) < _JOINED_BYTES:
            transport.write(b"".join(pieces))
        else:
            transport.writelines(pieces)

    async def write_slowly(self, pieces: Sequence[bytes]) -> None:
        """The same for much: slice by slice as the client takes it, the loop free in between (TLS takes its time)."""
        for piece in pieces:
            view = memoryview(piece)
            for start in range(0, len(view), _AT_ONCE_BYTES):
                self.write(view[start : start + _AT_ONCE_BYTES])
                await asyncio.sleep(0)
                await self.drain()

    def abort(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.abort()

    async def drain(self) -> None:
        await self._request.writer.drain()

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        old = self._request.protocol
        transport = old.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.set_protocol(protocol)
        old.transport = None  # so that aiohttp lets go of the connection without closing it
        old.connection_lost(None)
        return transport

    async def read_body(self, limit: int) -> bytes:
        request = self._request
        declared = request.content_length
        if declared is not None and declared > limit:
            raise _too_large(limit)
        if not request.body_exists:
            return b""
        if (request.headers.get(hdrs.EXPECT) or "").lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        content: StreamReader = request.content
        pieces, size = [], 0
        while piece := await content.readany():
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def certificate(self) -> bytes | None:
        transport = self._request.transport
        ssl_object = transport.get_extra_info("ssl_object") if transport is not None else None
        found: bytes | None = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
        return found


# One for all connections: what has been read is copied out before anything else can be read.
_BUFFER = memoryview(bytearray(64 * 1024))


class _Buffered(asyncio.BufferedProtocol):
    """aiohttp's protocol, reading through our buffer.

    uvloop makes a new 256 kB object for each TLS read of a protocol without a buffer of its own: that costs 5 µs a
    request, and the settings of `allocator` would make it far more.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: web.RequestHandler) -> None:
        self._inner = inner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def eof_received(self) -> None:
        self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self._inner.data_received(bytes(_BUFFER[:nbytes]))


class _Handler(web.RequestHandler):
    """What the parser refuses gets the answers of Go's server, and an unknown method a Status: nothing is echoed."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500:
            refused: web.StreamResponse = super().handle_error(request, status, exc, message)
        elif isinstance(exc, BadHttpMethod):
            error = MethodNotAllowed("the server does not allow this method on the requested resource")
            refused = web.Response(body=error.body(), status=error.code, content_type="application/json")
        elif isinstance(exc, LineTooLong):
            refused = web.Response(text="431 Request Header Fields Too Large", status=431)
        else:
            refused = web.Response(text="400 Bad Request", status=400)
        # Not logged: what clients get wrong is no fault of ours, and a log that they fill at will hides those that are.
        refused.force_close()
        return refused


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


def _too_large(limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"Request entity too large: limit is {limit}")


class HttpEdge:
    """The protocol factory of a listener."""

    def __init__(self, settings: Settings) -> None:
        self.handle: Handle | None = None
        self._stay, self._close = _Written(True), _Written(False)
        self._server = _Server(
            self._serve,
            handler_cancellation=True,  # a client that goes away takes its call to the shard with it
            keepalive_timeout=settings.keepalive_s,
            max_line_size=settings.max_line_bytes,
            max_field_size=settings.max_line_bytes,
            lingering_time=2.0,
            auto_decompress=False,  # as kube-apiserver: a compressed body is not a JSON body
            access_log=None,
            logger=_EdgeLog,
        )
        self._draining = False

    def __call__(self) -> asyncio.BufferedProtocol:
        return _Buffered(self._server())

    @property
    def connections(self) -> int:
        return len(self._server.connections)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        handle = self.handle
        assert handle is not None
        connection = _HttpConnection(request)
        exchange = Exchange(
            request.method,
            request.raw_path,
            request.headers,
            connection.read_body,
            connection.certificate,
            connection,
            request.keep_alive and not self._draining,
        )
        try:
            reply = await handle(exchange)
        except ConnectionError:
            # The client is gone, or half an answer is out that cannot be finished: it must not look whole.
            connection.abort()
            return self._close
        if reply is not None:
            if reply.code == 413:
                exchange.keep_alive = False  # the rest of the body is not worth reading
            pieces = encode_reply(exchange, reply)
            if len(reply.body) <= _AT_ONCE_BYTES:
                connection.write_all(pieces)
            else:
                exchange.started = True
                try:
                    await connection.write_slowly(pieces)
                except ConnectionError:
                    connection.abort()
                    return self._close
        return self._stay if exchange.keep_alive else self._close

    def hand_back(self, transport: asyncio.Transport, early: bytes) -> None:
        """A watch has ended: its connection takes requests again, the first bytes of which may have come already."""
        protocol = self._server()
        transport.set_protocol(_Buffered(protocol))
        protocol.connection_made(transport)
        if early:
            protocol.data_received(early)

    async def drain(self, timeout_s: float) -> None:
        """Let requests in flight finish, close what is idle, then close everything."""
        self._draining = True
        self._server.pre_shutdown()  # idle connections: `shutdown` alone would wait for them
        await self._server.shutdown(timeout_s)


# What aiohttp logs by itself are faults of clients (broken requests, lost connections).
_EdgeLog = logging.getLogger("kcpfront.http")

"""All HTTP connections of a front: made for the listener, looked after, ended in good order."""

import asyncio
from collections.abc import Awaitable, Callable

from kcpfront.exchange import Exchange, Reply
from kcpfront.http_connection import HttpConnection
from kcpfront.settings import Settings

Handle = Callable[[Exchange], Awaitable[Reply | None]]

_LOOK_S = 1.0
_READ_BYTES = 64 * 1024


class HttpEdge:
    """The protocol factory of a listener; `handle` answers its requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.loop = asyncio.get_running_loop()
        self.handle: Handle | None = None
        self.is_draining = False
        # Without it uvloop makes a new 256 kB object for each TLS read, which costs 5 µs a request, and with the
        # settings of `allocator` far more.
        self.read_buffer = memoryview(bytearray(_READ_BYTES))
        self._open: set[HttpConnection] = set()
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> HttpConnection:
        return HttpConnection(self)

    @property
    def connections(self) -> int:
        return len(self._open)

    def serve(self, exchange: Exchange) -> Awaitable[Reply | None]:
        assert self.handle is not None
        return self.handle(exchange)

    def opened(self, connection: HttpConnection) -> None:
        self._open.add(connection)
        if self._timer is None:
            self._timer = self.loop.call_later(_LOOK_S, self._look)

    def closed(self, connection: HttpConnection) -> None:
        self._open.discard(connection)
        if not self._open and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _look(self) -> None:
        """End what has had its time. A microsecond for three connections, watches not among them."""
        now = self.loop.time()
        for connection in [c for c in self._open if c.due <= now]:  # closing changes the set
            connection.look(now)
        self._timer = self.loop.call_later(_LOOK_S, self._look) if self._open else None

    def hand_back(self, transport: asyncio.Transport, early: bytes) -> None:
        """A watch has ended: its connection takes requests again, the first bytes of which may have come already."""
        connection = HttpConnection(self)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if early:
            connection.feed(early)

    async def drain(self, timeout_s: float) -> None:
        """Let requests in flight finish, close what is idle, then close everything."""
        self.is_draining = True
        for connection in list(self._open):
            connection.close_if_idle()
        if self._open:
            self._drained = self.loop.create_future()
            await asyncio.wait((self._drained,), timeout=timeout_s)
        for connection in list(self._open):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()

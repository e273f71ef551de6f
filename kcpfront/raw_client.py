"""A client's connection after HTTP has let go of it: bytes as they are, left in the kernel while nobody takes them."""

import asyncio

from kcpshard.api.errors import ServiceUnavailable

# Of what the client has sent and the other side has not taken; then reading stops.
MAX_WAITING_BYTES = 64 * 1024
_GONE = "the client is gone"


class RawClient(asyncio.Protocol):
    """The protocol of a connection that was handed over; a kcpshard.rpc.contract.Connection. It is cut off when no
    byte has moved in either direction for `idle_s`."""

    head = b""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_s: float) -> None:
        self._loop, self._idle_s = loop, idle_s
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._size = 0
        self._is_paused = self._has_ended = self._is_lost = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None  # made while the client takes too little
        self._is_full = False
        self._moved = loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._look()

    def _look(self) -> None:
        due = self._moved + self._idle_s
        if due == float("inf"):
            return
        if due <= self._loop.time():
            self.abort()
        else:
            self._timer = self._loop.call_at(due, self._look)

    # --- asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        self._moved = self._loop.time()
        self._waiting.append(data)
        self._size += len(data)
        if self._size > MAX_WAITING_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> None:
        self._has_ended = True
        _wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = self._is_lost = True
        if self._timer is not None:
            self._timer.cancel()
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        _wake(self._writer)

    # --- Connection

    async def read(self) -> bytes:
        while not self._waiting:
            if self._has_ended:
                return b""
            self._reader = self._loop.create_future()
            await self._reader
        data, self._waiting, self._size = b"".join(self._waiting), [], 0
        if self._is_paused and self._transport is not None and not self._is_lost:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        if self._is_lost or self._transport is None:
            raise ServiceUnavailable(_GONE)
        self._transport.write(data)
        while self._is_full:
            self._writer = self._loop.create_future()
            await self._writer
            if self._is_lost:
                raise ServiceUnavailable(_GONE)
        self._moved = self._loop.time()

    async def close(self) -> None:
        """What was written still leaves."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)

"""A connection to somebody else's server that has stopped speaking HTTP: bytes both ways, until either side ends."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress

_READ_AHEAD = 256 << 10
_PIECE = 64 << 10


class UpgradedConnection(asyncio.Protocol):
    """Takes the place of the HTTP client on a transport. `early` came behind the answer's head."""

    def __init__(self, transport: asyncio.Transport, early: bytes) -> None:
        self._transport = transport
        self._pieces: deque[bytes] = deque([early] if early else [])
        self._size = len(early)
        self._has_ended = self._is_paused = False
        self._came, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        transport.set_protocol(self)
        _keep_alive(transport)
        if transport.is_closing():
            self.connection_lost(None)

    # --- asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        self._pieces.append(bytes(data))
        self._size += len(data)
        self._came.set()
        if self._size > _READ_AHEAD and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._end()
        return False  # closes: a half of a connection is of no use to these protocols, nor can TLS have one

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # --- the other side

    async def pieces(self) -> AsyncIterator[bytes]:
        """At most 64 kB each, until the server ends."""
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._size -= len(piece)
                if self._is_paused and self._size < _READ_AHEAD // 2 and not self._transport.is_closing():
                    self._is_paused = False
                    self._transport.resume_reading()
                for start in range(0, len(piece), _PIECE):
                    yield piece[start : start + _PIECE]
            if self._has_ended:
                return
            self._came.clear()
            await self._came.wait()

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError."""
        await self._room.wait()
        if self._has_ended or self._transport.is_closing():
            raise ConnectionResetError("the server has ended the connection")
        self._transport.write(data)
        await self._room.wait()

    def close(self) -> None:
        """What was written still goes out."""
        self._transport.close()

    def _end(self) -> None:
        self._has_ended = True
        self._came.set()
        self._room.set()


def _keep_alive(transport: asyncio.Transport) -> None:
    """Nobody else would notice that a silent peer has died."""
    with suppress(OSError, AttributeError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

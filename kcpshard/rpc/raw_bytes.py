"""One side of a connection that has stopped speaking HTTP: bytes as they come, no further ahead than a buffer holds."""

import asyncio
import socket
from collections import deque
from contextlib import suppress

_READ_AHEAD = 256 << 10


class RawBytes(asyncio.Protocol):
    """`take` a transport when there is one. Reading stops while what has come is not taken."""

    gone = "the other side is gone"  # what a write that comes too late raises

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._has_ended = self._is_paused = False
        self._came, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()

    def take(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        with suppress(OSError, AttributeError):  # a silent peer that has died would not be noticed otherwise
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

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

    def _end(self) -> None:
        self._has_ended = True
        self._came.set()
        self._room.set()

    # --- whoever carries the bytes on

    async def read(self) -> bytes:
        """b"" when the other side has ended."""
        while not self._pieces:
            if self._has_ended:
                return b""
            self._came.clear()
            await self._came.wait()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._is_paused and self._size < _READ_AHEAD // 2 and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError."""
        await self._room.wait()
        if self._has_ended or self._transport.is_closing():
            raise ConnectionResetError(self.gone)
        self._transport.write(data)

    def close(self) -> None:
        """What was written still goes out."""
        self._transport.close()

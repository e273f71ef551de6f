"""A connection to somebody else's server that has stopped speaking HTTP: bytes both ways, until either side ends."""

import asyncio
from collections.abc import AsyncIterator

from kcpshard.rpc.raw_bytes import RawBytes

_PIECE = 64 << 10


class UpgradedConnection(RawBytes):
    """Takes the place of the HTTP client on a transport. `early` came behind the answer's head."""

    gone = "the server has ended the connection"

    def __init__(self, transport: asyncio.Transport, early: bytes) -> None:
        super().__init__()
        self.take(transport)
        if early:
            self.data_received(early)
        transport.set_protocol(self)
        if transport.is_closing():
            self.connection_lost(None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """At most 64 kB each, until the server ends."""
        while piece := await self.read():
            for start in range(0, len(piece), _PIECE):
                yield piece[start : start + _PIECE]

    async def write(self, data: bytes) -> None:
        await super().write(data)
        await self._room.wait()

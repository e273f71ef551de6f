"""What the client of an upgraded connection sends, on its way to the server that has taken the connection over.

Whoever receives the client's bytes makes an `Upstream` and writes to it; the verb that reaches the server joins the
two. Until then a writer waits, so that nothing piles up.
"""

import asyncio
from typing import Protocol


class FarSide(Protocol):
    async def write(self, data: bytes) -> None:
        """Returns when there is room for more. Raises ConnectionError once the server is gone."""

    def close(self) -> None:
        """What has been written still goes out."""


class Upstream:
    """Of one connection. One writer at a time."""

    def __init__(self) -> None:
        self._far: asyncio.Future[FarSide] = asyncio.get_running_loop().create_future()
        self._has_ended = False

    def join(self, far: FarSide) -> None:
        if not self._far.done():
            self._far.set_result(far)
        if self._has_ended:
            far.close()

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError."""
        far = await asyncio.shield(self._far)
        await far.write(data)

    def end(self) -> None:
        """The client sends no more: its connection has ended."""
        self._has_ended = True
        if self._far.done():
            self._far.result().close()

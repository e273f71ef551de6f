"""Connections that have stopped speaking HTTP: bytes between a client and whoever answers it, both ways.

Neither side is read further ahead of the other than a buffer holds; when one ends, what it has sent still arrives, and
the other ends too. What the bytes mean (SPDY, WebSocket) is not looked at. `UpgradedConnections` holds all of a
front's: they end when it stops.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from kcpfront.exchange import Connection, Exchange
from kcpshard.rpc.raw_bytes import RawBytes

_ENDING_S = 5.0
# About one connection; of an upgraded one's head both are written here.
_OWN_LINES = frozenset(("connection", "upgrade"))


class FarEnd(Protocol):
    """Who answers the client; `rpc.contract.Upgraded` is one."""

    async def read(self) -> bytes:
        """b"" when it has ended. Raises ConnectionError."""

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more. Raises ConnectionError."""

    async def end(self) -> None:
        """The client sends no more; what it has sent still arrives."""

    def close(self) -> None: ...


def wanted_protocol(exchange: Exchange) -> str:
    """What the client wants its connection to become, "" for an ordinary request."""
    tokens = {token.strip().lower() for line in exchange.headers.getall("Connection", []) for token in line.split(",")}
    names = exchange.headers.getall("Upgrade", [])
    return names[0] if "upgrade" in tokens and len(names) == 1 and names[0] else ""


def switching_head(protocol: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The answer that turns a connection into `protocol`. `headers` are clean; those of connections are left out."""
    lines = [f"{name}: {value}\r\n" for name, value in headers if name.lower() not in _OWN_LINES]
    head = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{''.join(lines)}\r\n"
    return head.encode("utf-8", "replace")


class ClientSide(RawBytes):
    """The client's connection, taken away from the HTTP library."""

    gone = "the client is gone"

    def __init__(self, connection: Connection, head: bytes) -> None:
        """Sends the head. Raises ConnectionError if the client is gone."""
        super().__init__()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.take(connection.hand_over(self))
        self._transport.write(head)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.lost.done():
            self.lost.set_result(None)

    def abort(self) -> None:
        self._transport.abort()


class UpgradedConnections:
    """All of one front."""

    def __init__(self) -> None:
        self._open: dict[ClientSide, FarEnd] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def stop(self, timeout_s: float) -> None:
        """End all; whoever does not take its end within the time is cut off."""
        ended = list(self._open.items())
        for client, far in ended:
            client.close()
            far.close()
        if ended:
            await asyncio.wait([client.lost for client, _ in ended], timeout=timeout_s)
        for client, _ in ended:
            client.abort()

    async def relay(self, exchange: Exchange, head: bytes, far: FarEnd) -> None:
        """Answer with `head`, then carry bytes until either side ends. `far` is closed then."""
        exchange.started = True
        client = ClientSide(exchange.connection, head)
        self._open[client] = far
        try:
            await _either([_up(client, far), _down(client, far)])
        finally:
            del self._open[client]
            client.close()
            far.close()


async def _up(client: ClientSide, far: FarEnd) -> None:
    with suppress(ConnectionError):
        while data := await client.read():
            await far.write(data)
        await far.end()
        # What went before may still be on its way: the other direction ends once it has arrived.
        await asyncio.sleep(_ENDING_S)


async def _down(client: ClientSide, far: FarEnd) -> None:
    with suppress(ConnectionError):
        while data := await far.read():
            await client.write(data)


async def _either(directions: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Until one of them ends."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(direction) for direction in directions]
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()

"""Ways that were found permitted and wait for their front to use them: once, within ten seconds."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import orjson

from kcpshard.api.errors import ServiceUnavailable, TooManyRequests
from kcpshard.api.requests import Answer
from kcpshard.rpc.contract import Connection

USE_CONNECTION = 472  # only between shard and front: a ticket instead of an answer
OFFERED_S = 10.0
_MAX_OFFERS = 4096  # of all logical clusters; the oldest makes room
MAX_OPEN = 512  # connections of one logical cluster at one shard; 429 beyond


class Way(Protocol):
    async def open(self, head: bytes) -> Connection:
        """`head`: JSON of the request as its client made it, {"headers": [[name, value]…], …}. Raises ApiError."""


class Offer(NamedTuple):
    way: Way
    path: str  # of the logical cluster
    until: float  # loop time


class Offers:
    """Counts what is open as well: one tenant must not take all there is."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self.shard = 0  # our number, once known
        self._offers: OrderedDict[bytes, Offer] = OrderedDict()
        self._open: dict[str, int] = {}

    def offer(self, path: str, way: Way) -> Answer:
        """The answer that lets a front take it. Raises TooManyRequests."""
        if self._open.get(path, 0) >= MAX_OPEN:
            raise TooManyRequests("too many connections of this logical cluster are open", retry_after_s=5)
        ticket = os.urandom(16)
        self._offers[ticket] = Offer(way, path, self._now() + OFFERED_S)
        if len(self._offers) > _MAX_OFFERS:
            self._offers.popitem(last=False)
        return Answer(USE_CONNECTION, orjson.dumps({"shard": self.shard, "ticket": ticket.hex()}))

    async def use(self, ticket: bytes, head: bytes) -> Connection:
        """What was offered, opened. Raises ApiError; ServiceUnavailable for a ticket that is not known any more."""
        found = self._offers.pop(ticket, None)
        while self._offers and next(iter(self._offers.values())).until < self._now():
            self._offers.popitem(last=False)
        if found is None or found.until < self._now():
            raise ServiceUnavailable("the connection was not taken in time", retry_after_s=1)
        self._open[found.path] = self._open.get(found.path, 0) + 1
        try:
            return _Counted(await found.way.open(head), partial(self._closed, found.path))
        except BaseException:
            self._closed(found.path)
            raise

    def _closed(self, path: str) -> None:
        left = self._open[path] - 1
        if left:
            self._open[path] = left
        else:
            del self._open[path]

    def statistics(self) -> dict[str, int]:
        return {"offered": len(self._offers), "open": sum(self._open.values())}

    def _now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()


class _Counted:
    """A connection that says when it is closed."""

    def __init__(self, connection: Connection, closed: Callable[[], None]) -> None:
        self._connection = connection
        self._closed: Callable[[], None] | None = closed
        self.head = connection.head

    async def read(self) -> bytes:
        return await self._connection.read()

    async def write(self, data: bytes) -> None:
        await self._connection.write(data)

    async def close(self) -> None:
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()
        await self._connection.close()

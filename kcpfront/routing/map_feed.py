"""Keeps the shard map true: follows it from any shard, from another one when that dies, and never gives up.

Any shard will do, because each has a copy. The addresses tried are those the front was started with and those the
newest map names. While none answers, the last map stays in use: the shards decide what they own, not the map.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import NoReturn, Protocol

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import CONNECT_TIMEOUT_S, Refused, Unreachable

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0  # after a round in which no shard answered


class FollowMap(Protocol):
    """`kcpshard.rpc.placement_client.MapFollower.follow`."""

    def __call__(self, address: str, known_epoch: int) -> AsyncGenerator[pb.ShardMap, None]:
        """Maps newer than `known_epoch` as they come; raises Unreachable when the shard cannot be read from."""


class MapFeed:
    """The loop that feeds `on_map` (the router's `adopt`)."""

    def __init__(self, seeds: Sequence[str], follow: FollowMap, on_map: Callable[[pb.ShardMap], None]) -> None:
        self._seeds = tuple(seeds)
        self._follow = follow
        self._on_map = on_map
        self._epoch = 0
        self._named: tuple[str, ...] = ()
        self._first_map = asyncio.Event()
        self._connected_from = math.inf  # loop time from which a stream has brought the newest map, if it lasts

    def is_behind(self) -> bool:
        """Whether a map that a shard shows may not have come here yet, but for milliseconds."""
        return asyncio.get_running_loop().time() < self._connected_from

    async def wait_for_map(self) -> None:
        """Until the first map has come."""
        await self._first_map.wait()

    async def run(self) -> NoReturn:
        pause_s = FIRST_PAUSE_S
        while True:
            answered = False
            for address in self._addresses():
                answered |= await self._follow_one(address)
            # A shard that ended its stream is restarting: it, or another, is asked again soon.
            pause_s = FIRST_PAUSE_S if answered else min(2 * pause_s, LAST_PAUSE_S)
            await asyncio.sleep(pause_s)

    def _addresses(self) -> Sequence[str]:
        return tuple(dict.fromkeys((*self._seeds, *self._named)))

    async def _follow_one(self, address: str) -> bool:
        """Whether the shard answered at all before the stream ended."""
        answered = False
        loop = asyncio.get_running_loop()
        # A stream that does not connect within this ends; one that does brings what is newer at once.
        self._connected_from = loop.time() + CONNECT_TIMEOUT_S
        try:
            async with aclosing(self._follow(address, self._epoch)) as maps:
                async for message in maps:
                    answered = True
                    self._connected_from = loop.time()
                    self._take(message)
        except (Refused, Unreachable) as error:
            log.debug("cannot read the shard map from %s: %s", address, error)
        except ValueError as error:
            log.warning("the shard map from %s is damaged and not used: %s", address, error)
        finally:
            self._connected_from = math.inf
        return answered

    def _take(self, message: pb.ShardMap) -> None:
        if message.epoch <= self._epoch:
            return
        self._on_map(message)  # raises ValueError for a damaged map; it is not remembered then
        self._epoch = message.epoch
        self._named = tuple(entry.address for entry in message.shards if entry.address)
        self._first_map.set()

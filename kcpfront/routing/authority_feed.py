"""Follows what each shard says of its tenants' client authorities, for as long as the map names the shard.

While a shard does not answer, what it has said last stands: it is asked for the proof with each request anyway.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from typing import Protocol

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Refused, Unreachable

_log = logging.getLogger(__name__)

FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 5.0


class Follow(Protocol):
    """`kcpshard.rpc.placement_client.AuthorityFollower.follow`."""

    def __call__(self, address: str) -> AsyncGenerator[pb.AuthorityBatch, None]:
        """Raises Unreachable or Refused."""


class Told(Protocol):
    def __call__(self, shard: int, told: Sequence[pb.TenantAuthorities], named: AbstractSet[str] | None, /) -> None: ...


class AuthorityFeed:
    """`told` gets what a shard says; with the last of all that it has, and of a shard that the map does not name any
    more, the paths of all that it has named."""

    def __init__(self, follow: Follow, told: Told) -> None:
        self._follow, self._told = follow, told
        self._wanted: dict[int, str] = {}
        self._running: dict[int, tuple[str, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def update(self, shards: Sequence[pb.ShardEntry]) -> None:
        self._wanted = {entry.number: entry.address for entry in shards if entry.address}
        self._adapt()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._adapt()
                await asyncio.Event().wait()
        finally:
            self._tasks = None
            self._running.clear()

    def _adapt(self) -> None:
        if self._tasks is None:
            return
        for number, (address, task) in list(self._running.items()):
            if self._wanted.get(number) != address:
                task.cancel()
                del self._running[number]
                if number not in self._wanted:
                    self._told(number, (), frozenset())
        for number, address in self._wanted.items():
            if number not in self._running:
                self._running[number] = (address, self._tasks.create_task(self._keep(number, address)))

    async def _keep(self, number: int, address: str) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            named: set[str] | None = set()
            try:
                async with aclosing(self._follow(address)) as batches:
                    async for batch in batches:
                        if named is not None:
                            named.update(each.cluster for each in batch.authorities)
                        self._told(number, batch.authorities, named if batch.complete else None)
                        if batch.complete:
                            named = None
                        pause_s = FIRST_PAUSE_S
                        await asyncio.sleep(0)  # a batch is a few milliseconds
            except (Refused, Unreachable) as error:
                _log.debug("cannot follow the client authorities of shard %d: %s", number, error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

"""Lets the controllers of this shard look through logical clusters that have come from another one.

What was not settled there is found by looking through all objects once. That this has to be done is written down with
the adoption, and crossed out when what it asked for is done: a restart in between begins it again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn, Protocol

from kcpshard.controllers.runner import Runner
from kcpshard.storage.contract import Compacted, LogicalCluster, NotDurable, ObjectStore, ReadOnly
from kcpshard.storage.durability import durable
from kcpshard.storage.transfers import Transfers

_log = logging.getLogger(__name__)

_LOOK_S = 0.5  # between looks whether all is done
_AGAIN_S = 2.0  # before one that could not be looked through is tried again


class Looker(Protocol):
    async def look_through(self, cluster: LogicalCluster) -> None: ...


class ArrivedClusters:
    """`also` are further ones to look through what has come."""

    def __init__(self, runner: Runner, definitions: Looker, store: ObjectStore, transfers: Transfers) -> None:
        self._runner, self._store, self._transfers = runner, store, transfers
        self.also: list[Callable[[LogicalCluster], Awaitable[None]]] = [definitions.look_through]
        self._waiting: dict[int, None] = {}
        self._looked: dict[int, int] = {}  # id → what was asked for up to this revision is not all done
        self._wake = asyncio.Event()

    def add(self, cluster: LogicalCluster) -> None:
        self._waiting[cluster.id] = None
        self._wake.set()

    async def run(self) -> NoReturn:
        self._waiting.update(dict.fromkeys(self._transfers.unsettled()))
        while True:
            self._wake.clear()
            for cluster_id in list(self._waiting):
                await self._look(cluster_id)
            for cluster_id, upto in list(self._looked.items()):
                await self._cross_out(cluster_id, upto)
            pause_s = _AGAIN_S if self._waiting else _LOOK_S if self._looked else None
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()

    async def _look(self, cluster_id: int) -> None:
        cluster, upto = self._store.cluster_by_id(cluster_id), self._store.durable_revision
        try:
            if cluster is not None:
                await self._runner.look_through(cluster)
                for look in self.also:
                    await look(cluster)
        except (NotDurable, Compacted) as reason:
            _log.info("controllers look through %s later: %s", cluster.path if cluster else cluster_id, reason)
            return
        self._waiting.pop(cluster_id, None)
        self._looked[cluster_id] = upto

    async def _cross_out(self, cluster_id: int, upto: int) -> None:
        if self._store.cluster_by_id(cluster_id) is not None and self._runner.queue.has_of(cluster_id, upto):
            return
        try:
            await durable(self._transfers.cross_out(cluster_id))
        except ReadOnly:
            return
        self._looked.pop(cluster_id, None)

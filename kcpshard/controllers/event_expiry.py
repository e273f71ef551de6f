"""Removes events an hour after they were last written, as the lease on them in kube-apiserver's etcd does.

Every few minutes it looks at the events of those logical clusters that have any, a slice at a time: about 2 µs an
event, and nothing at all for the others. The age is in the revision, so nothing is decoded and nothing remembered.
Like a lease it asks nobody: no admission, no finalizers. How long events live is their retention class.
"""

import asyncio
import logging
from collections.abc import Callable

from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ReadOnly, Remove, ScanItem
from kcpshard.storage.durability import durable
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.writes import remove_of

_log = logging.getLogger(__name__)

NAME = "event-expiry-controller"
EVENTS = "events"
_INTERVAL_S = 120.0
_SLICE = 128  # with as many removals in one commit: 3 ms


class EventExpiry:
    def __init__(self, shard: Shard, keep_s: float, now_us: Callable[[], int]) -> None:
        self._shard, self._store, self._keep_us, self._now_us = shard, shard.store, int(keep_s * 1e6), now_us
        self._types = ResourceTypes(shard.catalog)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            try:
                await self.sweep()
            except ReadOnly as cause:
                _log.info("events stay for now: %s", cause)

    async def sweep(self) -> int:
        """Everything that is due; returns how many went."""
        before, removed = self._now_us() - self._keep_us, 0
        for cluster_id in self._store.clusters_with(EVENTS):
            cluster = self._store.cluster_by_id(cluster_id)
            if cluster is not None and cluster.state == "Active":
                removed += await self._sweep(cluster, before)
            await asyncio.sleep(0)
        return removed

    async def _sweep(self, cluster: LogicalCluster, before_us: int) -> int:
        resource = self._types.stored_as(cluster, EVENTS)
        assert resource is not None, "core types are always served"
        after: tuple[str, str] | None = None
        removed = 0
        while True:
            revision = self._store.durable_revision
            items = self._store.scan(cluster, EVENTS, "", revision, after, _SLICE, resource.retention)
            removes = [r for item in items if (r := self._expired(cluster, resource, item, before_us)) is not None]
            if removes and not await self._remove(cluster, removes):
                return removed
            removed += len(removes)
            if len(items) < _SLICE:
                return removed
            after = (items[-1].namespace, items[-1].name)
            await asyncio.sleep(0)

    async def _remove(self, cluster: LogicalCluster, removes: list[Remove]) -> bool:
        try:
            self._shard.ownership.check(cluster.path)
        except NotOwned:
            return False
        await durable(self._store.commit(cluster, removes).group)
        return True

    def _expired(self, cluster: LogicalCluster, resource: Resource, item: ScanItem, before_us: int) -> Remove | None:
        if envelope.revision(item.value) // 1000 >= before_us:
            return None
        value = self._store.pending(cluster, EVENTS, item.namespace, item.name)
        if value is None or envelope.revision(value) // 1000 >= before_us:
            return None
        return remove_of(resource, item.namespace, item.name, value)

"""Fills in the rules of cluster roles that select others: all that the selected grant, in order of their names.

admin, edit and view of the template come filled in; one is written over only in a logical cluster that has a cluster
role of its own with the label that they select.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import orjson

from kcpshard.api.events import Change
from kcpshard.api.objects import Object
from kcpshard.authorization.layer import CLUSTER_ROLES, GROUP
from kcpshard.controllers.contract import Keys
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.checks import is_selected
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ScanItem
from kcpshard.verbs.shard import Shard

NAME = "clusterrole-aggregation-controller"
_SCANNED = 128
_ALL = ("",)  # the one key of a logical cluster: every role that aggregates may be concerned
_MARK = b'"aggregationRule"'


class ClusterRoleAggregation:
    name = NAME

    def __init__(self, shard: Shard) -> None:
        self._shard, self._client = shard, SystemClient(shard, "clusterrole-aggregation-controller")

    def see(self, cluster_id: int, change: Change) -> Keys:
        return (_ALL,) if change.group_resource == CLUSTER_ROLES else ()

    async def reconcile(self, cluster: LogicalCluster, key: tuple[str, ...]) -> float:
        """Roles select roles that select, so again until nothing changes; a change of ours is seen like any other."""
        roles = [item async for item in self._roles(cluster)]
        for item in roles:
            if _MARK in item.value:
                await self._fill(cluster, orjson.loads(envelope.body(item.value)), roles)
        return 0

    async def _roles(self, cluster: LogicalCluster) -> AsyncIterator[ScanItem]:
        store, after = self._shard.store, None
        while True:
            items = store.scan(cluster, CLUSTER_ROLES, "", store.durable_revision, after, _SCANNED)
            for item in items:
                yield item
            if len(items) < _SCANNED:
                return
            after = (items[-1].namespace, items[-1].name)
            await asyncio.sleep(0)

    async def _fill(self, cluster: LogicalCluster, role: Object, roles: Sequence[ScanItem]) -> None:
        selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors")
        if selectors is None or role["metadata"].get("deletionTimestamp"):
            return
        wanted: list[Object] = []
        for selector in selectors:
            for rule in _rules(selector, role["metadata"]["name"], roles):
                if rule not in wanted:
                    wanted.append(rule)
        if wanted == (role.get("rules") or []):
            return
        resource = self._shard.catalog.find(cluster, GROUP, "v1", "clusterroles")
        assert resource is not None, "always served"
        await self._client.update(cluster, resource, {**role, "rules": wanted})


def _rules(selector: Object, but: str, roles: Sequence[ScanItem]) -> Iterator[Object]:
    for item in roles:
        if item.name != but and is_selected(selector, envelope.labels(item.value)):
            yield from orjson.loads(envelope.body(item.value)).get("rules") or ()

"""Counts what the quotas of a namespace limit, and writes it into their status.

Admission charges; this gives back what deletions freed, and makes the status of a new or changed quota. Counting takes
several turns, and objects are made meanwhile. It counts at one revision R, and in one turn writes

    counted at R + (used now - used at R)

where the difference is exactly what admission charged in between. For a name that was not charged at R (a new quota)
objects made while it counts make it count again. So does a status in which something became less: an attached
kube-controller-manager counts too, and what it takes away must not be taken for a charge.
"""

import asyncio
from collections.abc import Callable

import orjson

from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions import quota_usage as usages
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.quantities import ZERO, count_of
from kcpshard.definitions.quota_usage import Usage
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

NAME = "resourcequota-controller"
QUOTAS = "resourcequotas"
_SLICE = 128
_DECODED_SLICE = 32
_GATHER_S = 0.01  # deletions come in crowds: count once for many
_ATTEMPTS = 3  # to count while nobody else takes something away; the status that results is looked at again anyway


class ResourceQuota:
    """Keys are namespaces. `is_active` tells whether a key is being worked on."""

    name = NAME

    def __init__(self, shard: Shard, is_active: Callable[[str, int, Key], bool]) -> None:
        self._shard, self._store, self._is_active = shard, shard.store, is_active
        self._client = SystemClient(shard, "resourcequota-controller")
        self._types = ResourceTypes(shard.catalog)

    def see(self, cluster_id: int, change: Change) -> Keys:
        namespace = change.namespace
        if change.group_resource == QUOTAS:
            return ((namespace,),) if _is_new(change) else ()
        if not namespace:
            return ()
        if change.type is EventType.ADDED:
            return ((namespace,),) if self._is_active(NAME, cluster_id, (namespace,)) else ()
        if change.type is EventType.MODIFIED and not _may_use_less(change):
            return ()
        cluster = self._store.cluster_by_id(cluster_id)
        has_quotas = cluster is not None and self._store.count(cluster, QUOTAS)
        return ((namespace,),) if has_quotas else ()

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        await asyncio.sleep(_GATHER_S)
        namespace = key[0]
        for value in self._store.scan_pending(cluster, QUOTAS, namespace, _SLICE):
            await self._count(cluster, namespace, orjson.loads(envelope.body(value)))
        return 0

    async def _count(self, cluster: LogicalCluster, namespace: str, quota: Object) -> None:
        name, now = quota["metadata"]["name"], None
        for _ in range(_ATTEMPTS):
            counted, before = await self._counted(cluster, namespace, quota)
            value = self._store.pending(cluster, QUOTAS, namespace, name)
            if value is None:
                return
            now, used_now = orjson.loads(envelope.body(value)), _status_used(value)
            if not _is_less(used_now, before):
                break
        assert now is not None
        used = _used(counted, before, used_now)
        hard = (now.get("spec") or {}).get("hard") or {}
        status = {"hard": hard, "used": usages.written({n: used[n] for n in hard if n in used})}
        if status != now.get("status"):
            resource = self._types.stored_as(cluster, QUOTAS)
            assert resource is not None, "quotas are served"
            await self._client.update(cluster, resource, {**now, "status": status}, "status")

    async def _counted(self, cluster: LogicalCluster, namespace: str, quota: Object) -> tuple[Usage, Usage]:
        """What is used at the newest revision, and what the status said then."""
        revision = self._store.durable_revision
        spec = quota.get("spec") or {}
        before = self._store.get_at(cluster, QUOTAS, namespace, quota["metadata"]["name"], revision)
        counted: Usage = {}
        for source in {usages.source(resource) for resource in spec.get("hard") or ()}:
            counted |= await self._count_type(cluster, namespace, spec, source, revision)
        return counted, _status_used(before)

    async def _count_type(
        self, cluster: LogicalCluster, namespace: str, spec: Object, source: str, revision: int
    ) -> Usage:
        """Every name that a quota with this `spec` limits, and objects of the type `source` use."""
        names = [name for name in spec.get("hard") or () if usages.source(name) == source]
        found: Usage = {name: ZERO for name in names}
        resource = self._types.stored_as(cluster, source)
        if resource is None:
            return found if source in (usages.PODS, usages.SERVICES, usages.CLAIMS) else {}
        if source not in usages.CHANGING:
            if usages.is_counted_by(spec, source, {}):
                number = await self._number(cluster, namespace, resource, revision)
                found = {name: count_of(number) for name in names}
            return found
        after: tuple[str, str] | None = None
        while True:
            items = self._store.scan(cluster, source, namespace, revision, after, _DECODED_SLICE, resource.retention)
            for item in items:
                obj = orjson.loads(envelope.body(item.value))
                if usages.is_counted_by(spec, source, obj):
                    use = usages.usage(source, obj)
                    found = usages.added(found, {name: use[name] for name in names if name in use})
            if len(items) < _DECODED_SLICE:
                return found
            after = (items[-1].namespace, items[-1].name)
            await asyncio.sleep(0)

    async def _number(self, cluster: LogicalCluster, namespace: str, resource: Resource, revision: int) -> int:
        """Objects of a type each of which uses one."""
        number, after = 0, None
        while True:
            items = self._store.scan(
                cluster, resource.group_resource, namespace, revision, after, _SLICE, resource.retention
            )
            number += len(items)
            if len(items) < _SLICE:
                return number
            after = (items[-1].namespace, items[-1].name)
            await asyncio.sleep(0)


def _used(counted: Usage, before: Usage, now: Usage) -> Usage:
    return {
        name: usages.added({name: amount}, usages.minus({name: now[name]}, {name: before[name]}))[name]
        if name in before and name in now
        else amount
        for name, amount in counted.items()
    }


def _is_less(used: Usage, before: Usage) -> bool:
    return any(name in used and used[name].value < amount.value for name, amount in before.items())


def _status_used(value: bytes | None) -> Usage:
    return {} if value is None else usages.read((orjson.loads(envelope.body(value)).get("status") or {}).get("used"))


def _is_new(change: Change) -> bool:
    """Whether a quota is another than before, and not only charged."""
    if change.type is EventType.DELETED:
        return True  # it may be counted by others: count/resourcequotas
    obj = orjson.loads(envelope.body(change.value))
    if (obj.get("spec") or {}).get("hard") != (obj.get("status") or {}).get("hard"):
        return True
    previous = change.previous
    if previous is None or not envelope.has_body(previous):
        return True
    if orjson.loads(envelope.body(previous)).get("spec") != obj.get("spec"):
        return True
    return _is_less(_status_used(change.value), _status_used(previous))


def _may_use_less(change: Change) -> bool:
    if change.group_resource == usages.PODS:
        return b'"phase":"Succeeded"' in change.value or b'"phase":"Failed"' in change.value
    return change.group_resource in usages.CHANGING

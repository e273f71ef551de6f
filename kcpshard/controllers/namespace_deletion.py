"""Empties namespaces that are Terminating, says in their status what is left, and at last lets them go.

While finalizers hold objects in it, each object that goes makes it look again. Works through the verbs, as any client
would; custom resources go like all others. The finalizer `kubernetes` is this controller's; others keep the namespace.
"""

import asyncio
from collections.abc import Iterator

import orjson

from kcpshard.api.errors import ApiError, NotFound
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object, timestamp
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.namespace_conditions import Remaining, remaining, with_conditions
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ScanItem
from kcpshard.verbs.shard import Shard

NAME = "namespace-controller"
NAMESPACES = "namespaces"
FINALIZER = "kubernetes"
_LOOK_AGAIN_S = 15.0  # at what others hold: against anything that was missed
_SLICE = 64
_PODS = "pods"

Place = tuple[int, str]  # id of the logical cluster, namespace


class NamespaceDeletion:
    """Keys are namespaces."""

    name = NAME

    def __init__(self, shard: Shard) -> None:
        self._shard, self._store = shard, shard.store
        self._client = SystemClient(shard, "namespace-controller")
        self._types = ResourceTypes(shard.catalog)
        # Terminating namespaces that something holds; bounded by how many there are.
        self._held: set[Place] = set()

    @property
    def waiting(self) -> int:
        """Namespaces that something holds: for tests and statistics."""
        return len(self._held)

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource == NAMESPACES:
            if change.type is EventType.DELETED:
                self._held.discard((cluster_id, change.name))
                return ()
            return ((change.name,),) if envelope.fields(change.value).get("status.phase") == "Terminating" else ()
        if self._held and change.type is EventType.DELETED and (cluster_id, change.namespace) in self._held:
            return ((change.namespace,),)
        return ()

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        namespace, place = key[0], (cluster.id, key[0])
        value = self._store.pending(cluster, NAMESPACES, "", namespace)
        if value is None or envelope.fields(value).get("status.phase") != "Terminating":
            self._held.discard(place)
            return 0
        if FINALIZER not in _finalizers(orjson.loads(envelope.body(value))):
            return 0  # whoever holds it now lets it go by themselves
        state = await self._empty(cluster, namespace)
        await self._report(cluster, namespace, state)
        if not state.is_empty:
            self._held.add(place)
            return _LOOK_AGAIN_S
        self._held.discard(place)
        await self._let_go(cluster, namespace)
        return 0

    async def _empty(self, cluster: LogicalCluster, namespace: str) -> Remaining:
        refusals = []
        for resource in self._kinds(cluster):
            if self._holds(cluster, resource, namespace):
                try:
                    await self._client.delete_collection(cluster, resource, namespace)
                except NotFound:
                    continue
                except ApiError as refusal:
                    refusals.append(str(refusal.message))
        left: list[tuple[str, list[str]]] = []
        for resource in self._kinds(cluster):
            if self._holds(cluster, resource, namespace):
                left += await self._left(cluster, resource, namespace)
        return remaining(left, refusals)

    def _kinds(self, cluster: LogicalCluster) -> Iterator[Resource]:
        """Pods first: what they use may not go before them."""
        found = [r for r in self._types.stored(cluster) if r.namespaced]
        return iter(sorted(found, key=lambda r: r.group_resource != _PODS))

    def _holds(self, cluster: LogicalCluster, resource: Resource, namespace: str) -> bool:
        if not self._store.count(cluster, resource.group_resource):
            return False
        revision = self._store.durable_revision
        found = self._store.scan(cluster, resource.group_resource, namespace, revision, None, 1, resource.retention)
        return bool(found)

    async def _left(self, cluster: LogicalCluster, resource: Resource, namespace: str) -> list[tuple[str, list[str]]]:
        found: list[tuple[str, list[str]]] = []
        after: tuple[str, str] | None = None
        shown = f"{resource.plural}.{resource.group}"
        while True:
            revision = self._store.durable_revision
            items = self._store.scan(
                cluster, resource.group_resource, namespace, revision, after, _SLICE, resource.retention
            )
            found += [(shown, _object_finalizers(item)) for item in items]
            if len(items) < _SLICE:
                return found
            after = (items[-1].namespace, items[-1].name)
            await asyncio.sleep(0)

    async def _report(self, cluster: LogicalCluster, namespace: str, state: Remaining) -> None:
        old = self._pending(cluster, namespace)
        if old is None:
            return
        new = with_conditions(old, state, timestamp(self._shard.now_us()))
        if new["status"] != old.get("status"):
            await self._client.update(cluster, self._resource(cluster), new, "status")

    async def _let_go(self, cluster: LogicalCluster, namespace: str) -> None:
        """Remove our finalizer. Anything written meanwhile makes this a conflict, and we look again."""
        obj = self._pending(cluster, namespace)
        if obj is None or FINALIZER not in _finalizers(obj):
            return
        kept = [f for f in _finalizers(obj) if f != FINALIZER]
        try:
            new = {**obj, "spec": {**obj["spec"], "finalizers": kept}}
            await self._client.update(cluster, self._resource(cluster), new, "finalize")
        except NotFound:
            return

    def _pending(self, cluster: LogicalCluster, namespace: str) -> Object | None:
        value = self._store.pending(cluster, NAMESPACES, "", namespace)
        return None if value is None else orjson.loads(envelope.body(value))

    def _resource(self, cluster: LogicalCluster) -> Resource:
        found = self._shard.catalog.find(cluster, "", "v1", NAMESPACES)
        assert found is not None, "core types are always served"
        return found


def _finalizers(namespace: Object) -> list[str]:
    return (namespace.get("spec") or {}).get("finalizers") or []


def _object_finalizers(item: ScanItem) -> list[str]:
    if b'"finalizers"' not in item.value:
        return []
    found: list[str] = orjson.loads(envelope.body(item.value))["metadata"].get("finalizers") or []
    return found

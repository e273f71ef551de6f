"""Deletes what nobody owns any more, makes owners wait for dependents, and lets dependents go as orphans.

Holds no graph: the store's index leads from an owner's uid to its dependents, and owners are looked up by name. So an
idle logical cluster costs nothing, and after a restart only what changed since is looked at again. An owner counts as
gone only if the durable state says so.

    ("object", group resource, namespace, name)   is it owned, and does it wait for dependents?
    ("owner", uid, last dependent…)               it has gone: each of its dependents is to be looked at, in slices
    ("reference", apiVersion, kind, namespace, name)   an owner that may wait no longer

A reference to a kind that is not served decides nothing: the object stays.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import orjson

from kcpshard.api.errors import ApiError, NotFound
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object
from kcpshard.controllers import owner_references as owners
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.event_recorder import EventRecorder
from kcpshard.controllers.owner_references import Owner, Reference
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable
from kcpshard.storage.owners import Dependent
from kcpshard.verbs.metadata import FOREGROUND, ORPHAN
from kcpshard.verbs.shard import Shard

_IGNORED = frozenset(("events", "leases.coordination.k8s.io"))
_SLICE = 64  # dependents looked at between two awaits: ~10 µs each
_AT_ONCE = 16  # writes of one key under way
_CIRCLE = 128  # objects in a circle of owners that is still found
_LOOK_AGAIN_S = 30.0  # at an owner that waits: against anything that was missed
_KNOWN_GONE = 1024  # uids of owners that were seen to go

NAME = "garbage-collector-controller"


class GarbageCollection:
    name = NAME

    def __init__(self, shard: Shard, add: Callable[[str, int, Key], None]) -> None:
        self._shard, self._store, self._add = shard, shard.store, add
        self._client = SystemClient(shard, "generic-garbage-collector")
        self._types = ResourceTypes(shard.catalog)
        self._events = EventRecorder(shard, self._client, "garbage-collector-controller")
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._asked: dict[str, float] = {}  # owner that waits → when all its dependents were last asked to go

    # --- what happens

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource in _IGNORED:
            return ()
        found: list[Key] = []
        if owners.is_worth_a_look(change):
            found.append(("object", change.group_resource, change.namespace, change.name))
        elif change.type is EventType.DELETED:
            uid = envelope.uid(change.value)
            self._asked.pop(uid, None)
            if self._has_dependents(cluster_id, uid):
                self._remember_gone(uid)
                found.append(("owner", uid))
        released = owners.released_owners(change)
        found += [("reference", o.api_version, o.kind, change.namespace, o.name) for o in released]
        return tuple(found)

    def _has_dependents(self, cluster_id: int, uid: str) -> bool:
        cluster = self._store.cluster_by_id(cluster_id)
        return cluster is not None and bool(self._store.dependents(cluster, uid, None, 1))

    def _remember_gone(self, uid: str) -> None:
        self._gone[uid] = None
        if len(self._gone) > _KNOWN_GONE:
            self._gone.popitem(last=False)

    # --- what is done

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        match key:
            case ("owner", uid, *after):
                self._sweep(cluster, uid, Dependent(*after) if after else None)
                return 0
            case ("reference", api_version, kind, namespace, name):
                resource = self._types.of_kind(cluster, api_version, kind)
                if resource is None:
                    return 0
                namespace = namespace if resource.namespaced else ""
                return await self._look_at(cluster, resource.group_resource, namespace, name)
            case (_, group_resource, namespace, name):
                return await self._look_at(cluster, group_resource, namespace, name)
        raise ValueError(key)

    def _sweep(self, cluster: LogicalCluster, uid: str, after: Dependent | None) -> None:
        found = self._store.dependents(cluster, uid, after, _SLICE)
        for dependent in found:
            self._add(NAME, cluster.id, ("object", *dependent))
        if len(found) == _SLICE:
            self._add(NAME, cluster.id, ("owner", uid, *found[-1]))

    async def _look_at(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> float:
        obj = self._object(cluster, group_resource, namespace, name)
        resource = self._types.stored_as(cluster, group_resource)
        if obj is None or resource is None:
            return 0
        if obj["metadata"].get("deletionTimestamp"):
            if owners.wants_orphans(obj):
                return await self._orphan(cluster, resource, obj)
            if owners.waits_for_dependents(obj):
                return await self._wait(cluster, resource, obj)
            return 0
        await self._judge(cluster, resource, obj)
        return 0

    async def _judge(self, cluster: LogicalCluster, resource: Resource, obj: Object) -> None:
        found: list[tuple[Reference, Owner]] = []
        for reference in owners.references(obj):
            state = await self._owner(cluster, obj, reference)
            if state is None:
                return
            found.append((reference, state))
        verdict = owners.verdict(found)
        if verdict.drop:
            await self._rewrite(cluster, resource, obj, lambda r: None if r.get("uid") in verdict.drop else r)
        elif verdict.delete:
            await self._let_go(cluster, resource, obj, verdict.waiting)

    async def _let_go(self, cluster: LogicalCluster, resource: Resource, obj: Object, waiting: bool) -> None:
        meta = obj["metadata"]
        conditions = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        policy = owners.policy(obj)
        if waiting and any(True for _ in self._dependents(cluster, obj)):
            policy = "Foreground"
            if any(owners.waits_for_dependents(d) for _, d in self._dependents(cluster, obj)):
                # A circle may be waiting for itself: this object keeps its owners no longer. That is another
                # resourceVersion, and nothing but what was just decided.
                await self._rewrite(cluster, resource, obj, lambda r: {**r, "blockOwnerDeletion": False})
                del conditions["resourceVersion"]
        await self._delete(cluster, resource, obj, {"propagationPolicy": policy, "preconditions": conditions})

    async def _owner(self, cluster: LogicalCluster, obj: Object, reference: Reference) -> Owner | None:
        """None: it cannot be told, so nothing is decided."""
        resource = self._types.of_kind(cluster, reference.api_version, reference.kind)
        if resource is None:
            return None
        namespace = obj["metadata"].get("namespace", "")
        if resource.namespaced and not namespace:
            await self._report_namespace(cluster, resource, obj, reference)
            return None
        owner = self._object(cluster, resource.group_resource, namespace if resource.namespaced else "", reference.name)
        if owner is not None and owner["metadata"]["uid"] != reference.uid:
            owner = None
        if owner is None and resource.namespaced and reference.uid not in self._gone:
            await self._report_namespace(cluster, resource, obj, reference)
        return owners.state_of(reference, owner)

    async def _report_namespace(
        self, cluster: LogicalCluster, resource: Resource, obj: Object, reference: Reference
    ) -> None:
        """An owner in another namespace than its dependent's is invalid: say so, if there is one."""
        if not await self._exists(cluster, resource, reference.uid):
            return
        namespace = obj["metadata"].get("namespace", "")
        shown = (
            f"[{reference.api_version}/{reference.kind}, namespace: {namespace}, name: {reference.name}, "
            f"uid: {reference.uid}]"
        )
        text = f'ownerRef {shown} does not exist in namespace "{namespace}"'
        await self._events.warn(cluster, obj, "OwnerRefInvalidNamespace", text)

    async def _exists(self, cluster: LogicalCluster, resource: Resource, uid: str) -> bool:
        after: tuple[str, str] | None = None
        while True:
            revision = self._store.durable_revision
            items = self._store.scan(cluster, resource.group_resource, "", revision, after, _SLICE, resource.retention)
            if any(envelope.uid(item.value) == uid for item in items):
                return True
            if len(items) < _SLICE:
                return False
            after = (items[-1].namespace, items[-1].name)
            await asyncio.sleep(0)

    # --- owners that end

    async def _wait(self, cluster: LogicalCluster, resource: Resource, obj: Object) -> float:
        """Foreground: the dependents that block it go first; the last one's going lets it go."""
        uid, now = obj["metadata"]["uid"], asyncio.get_running_loop().time()
        asks_all = now - self._asked.get(uid, -_LOOK_AGAIN_S) >= _LOOK_AGAIN_S
        blocked = False
        for at, (dependent, found) in enumerate(self._dependents(cluster, obj)):
            if owners.is_blocked_by(uid, found) and not self._leads_back(cluster, found, uid):
                blocked = True
                if not asks_all:
                    break
                if not found["metadata"].get("deletionTimestamp"):
                    self._add(NAME, cluster.id, ("object", *dependent))
            if at % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
        if blocked:
            if asks_all:
                self._asked[uid] = now
            return _LOOK_AGAIN_S
        self._asked.pop(uid, None)
        await self._drop_finalizer(cluster, resource, obj, FOREGROUND)
        return 0

    def _leads_back(self, cluster: LogicalCluster, dependent: Object, uid: str) -> bool:
        """Whether the dependent waits, itself or through others that wait, for the owner `uid` to go: a circle."""
        waiting, seen = [dependent], {dependent["metadata"]["uid"]}
        while waiting and len(seen) < _CIRCLE:
            obj = waiting.pop()
            if obj["metadata"]["uid"] == uid:
                return True
            if not owners.waits_for_dependents(obj):
                continue
            for _, found in self._dependents(cluster, obj):
                its_uid = found["metadata"]["uid"]
                if its_uid not in seen and owners.is_blocked_by(obj["metadata"]["uid"], found):
                    seen.add(its_uid)
                    waiting.append(found)
                    if len(seen) >= _CIRCLE:
                        break
        return False

    async def _orphan(self, cluster: LogicalCluster, resource: Resource, obj: Object) -> float:
        uid = obj["metadata"]["uid"]

        async def release(dependent: Dependent) -> None:
            found = self._object(cluster, *dependent)
            type_ = self._types.stored_as(cluster, dependent.group_resource)
            if found is not None and type_ is not None:
                await self._rewrite(cluster, type_, found, lambda r: None if r.get("uid") == uid else r)

        while found := self._store.dependents(cluster, uid, None, _AT_ONCE):
            await _together([release(dependent) for dependent in found])
        await self._drop_finalizer(cluster, resource, obj, ORPHAN)
        return 0

    # --- reading and writing

    def _object(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> Object | None:
        """As it is durably: what may yet be taken back decides nothing here."""
        try:
            value = self._store.get(cluster, group_resource, namespace, name)
        except NotDurable:
            value = self._store.get_at(cluster, group_resource, namespace, name, self._store.durable_revision)
        return None if value is None else orjson.loads(envelope.body(value))

    def _dependents(self, cluster: LogicalCluster, obj: Object) -> Iterator[tuple[Dependent, Object]]:
        uid, after = obj["metadata"]["uid"], None
        while found := self._store.dependents(cluster, uid, after, _SLICE):
            for dependent in found:
                if (there := self._object(cluster, *dependent)) is not None:
                    yield dependent, there
            after = found[-1]

    async def _rewrite(
        self,
        cluster: LogicalCluster,
        resource: Resource,
        obj: Object,
        change: Callable[[dict[str, Any]], dict[str, Any] | None],
    ) -> None:
        """Other owner references; refused with a Conflict if the object is not the one that was read."""
        meta = obj["metadata"]
        kept = [new for r in meta.get("ownerReferences") or () if (new := change(r)) is not None]
        patch = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "ownerReferences": kept or None}
        await self._unless_gone(
            self._client.merge(cluster, resource, meta.get("namespace", ""), meta["name"], {"metadata": patch})
        )

    async def _drop_finalizer(self, cluster: LogicalCluster, resource: Resource, obj: Object, finalizer: str) -> None:
        meta = obj["metadata"]
        kept = [f for f in meta.get("finalizers") or () if f != finalizer]
        patch = {"resourceVersion": meta["resourceVersion"], "finalizers": kept or None}
        await self._unless_gone(
            self._client.merge(cluster, resource, meta.get("namespace", ""), meta["name"], {"metadata": patch})
        )

    async def _delete(self, cluster: LogicalCluster, resource: Resource, obj: Object, options: dict[str, Any]) -> None:
        meta = obj["metadata"]
        await self._unless_gone(
            self._client.delete(cluster, resource, meta.get("namespace", ""), meta["name"], options)
        )

    async def _unless_gone(self, call: Awaitable[None]) -> None:
        try:
            await call
        except NotFound:
            return


async def _together(calls: list[Awaitable[None]]) -> None:
    """All of them; then the first refusal is raised, if there was one."""
    refusals: list[ApiError | NotDurable] = []

    async def one(call: Awaitable[None]) -> None:
        try:
            await call
        except (ApiError, NotDurable) as refusal:
            refusals.append(refusal)

    async with asyncio.TaskGroup() as tasks:
        for call in calls:
            tasks.create_task(one(call))
    if refusals:
        raise refusals[0]

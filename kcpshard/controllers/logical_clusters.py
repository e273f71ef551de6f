"""Moves logical clusters through their phases, on the shard that serves them, and tells their Workspaces.

A deletion waits for the terminators. A logical cluster that holds little, and nothing that anybody waits for, then goes
with all of it in one commit (`cluster_ends`), those of the workspaces in it likewise. Any other is emptied: what holds
no finalizer goes in bulk, a few hundred objects a commit, the rest is deleted as any client would and waited for;
nobody's webhook is asked. At last the path is free, and the Workspace is let go. Rights go last, so that whoever has to
clear up still may.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson

from kcpshard.api.errors import ApiError, ServiceUnavailable
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object, timestamp
from kcpshard.authorization.layer import TYPES as RIGHTS
from kcpshard.controllers.cluster_ends import ClusterEnds, batched, waited_for
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.clusters import TERMINATING as STOPPED
from kcpshard.storage.contract import Group, LogicalCluster, NotDurable, ReadOnly, Remove, ScanItem
from kcpshard.storage.durability import durable
from kcpshard.tenancy import logical_clusters, workspace_status
from kcpshard.tenancy.names import (
    APIS,
    CORE,
    FINALIZER,
    INHERITED,
    INHERITED_RIGHTS,
    LOGICAL_CLUSTERS,
    NAME,
    RBAC,
    TENANCY,
    VERSION,
    WORKSPACES,
)
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.workspace_ends import LOGICAL_CLUSTER, release
from kcpshard.verbs.writes import put_of, remove_of

CONTROLLER = "logicalcluster-controller"
_LOOK_AGAIN_S = 5.0  # at what others hold
_SLICE = 128  # objects a commit: about 2 ms
_ASK_S = 10.0
_CHILDREN = 8  # workspaces that end in a loop turn: about 2 ms
# Not before everything else has gone, in this order.
_LAST = ("namespaces", *sorted(RIGHTS), CRDS)
DEFINITIONS, OTHER_RIGHTS = ("definitions",), ("rights",)
_WORKSPACES = (TENANCY, VERSION, "workspaces")


class LogicalClusters:
    """Keys are the name of the LogicalCluster, DEFINITIONS where what it defines or inherits has changed, and
    OTHER_RIGHTS where what it grants has."""

    name = CONTROLLER

    def __init__(self, shard: Shard, add: Callable[[str, int, Key], None]) -> None:
        """`add` is the runner's: what one logical cluster defines may be a conflict in others."""
        self._add = add
        self._shard, self._store = shard, shard.store
        self._client = SystemClient(shard, CONTROLLER)
        self._types = ResourceTypes(shard.catalog)
        shard.authorizer.on_change(self._see_rights)
        self._strays: dict[int, int] = {}  # of those that are nearly gone: objects of no type that is served
        self._ends = ClusterEnds(shard)
        self._held: set[int] = set()  # ids of those whose end waits for objects; bounded by how many there are

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource == LOGICAL_CLUSTERS:
            return () if change.type is EventType.DELETED else ((NAME,),)
        if change.group_resource == CRDS:
            self._see_definition(cluster_id)
            return (DEFINITIONS,)  # it may hide an inherited one
        if self._held and cluster_id in self._held and change.type is EventType.DELETED:
            return ((NAME,),) if self._is_last(cluster_id, change.group_resource) else ()
        return ()

    def _is_last(self, cluster_id: int, group_resource: str) -> bool:
        """Each of thousands that go would have the rest looked at anew."""
        cluster = self._store.cluster_by_id(cluster_id)
        return cluster is None or group_resource in _LAST or self._store.count(cluster, group_resource) == 0

    def _see_rights(self, cluster: LogicalCluster) -> None:
        if self._shard.authorizer.inherits(cluster):
            self._add(self.name, cluster.id, OTHER_RIGHTS)

    def _see_definition(self, cluster_id: int) -> None:
        cluster = self._store.cluster_by_id(cluster_id)
        for heir in self._shard.catalog.heirs(cluster.path) if cluster is not None else ():
            self._add(self.name, heir.id, DEFINITIONS)

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        found = self._pending(cluster)
        if found is None:
            return 0
        if key in (DEFINITIONS, OTHER_RIGHTS):
            what, condition = (APIS, INHERITED) if key == DEFINITIONS else (RBAC, INHERITED_RIGHTS)
            if what in ((found.get("spec") or {}).get("inherit") or ()):
                await self._say_conflicts(cluster, found, condition)
            return 0
        is_ending = found["metadata"].get("deletionTimestamp") and not (found.get("status") or {}).get("terminators")
        if is_ending and (group := self._ends.at_once(cluster, found)) is not None:
            self._held.discard(cluster.id)
            await self._released(found, group)
            return 0
        found = self._settled(cluster, found)
        if is_ending:
            return await self._end(cluster, found)
        await self._tell(found)
        return 0

    async def _say_conflicts(self, cluster: LogicalCluster, found: Object, condition: str) -> None:
        of = self._shard.catalog.conflicts if condition == INHERITED else self._shard.authorizer.conflicts
        new = workspace_status.with_inheritance(found, of(cluster), self._time(), condition)
        newest = self._pending(cluster)
        if new["status"] != found.get("status") and newest == found:
            await durable(self._store.commit(cluster, (put_of(self._type(cluster), new, ""),)).group)

    def _settled(self, cluster: LogicalCluster, found: Object) -> Object:
        """With phase, labels and the store's state as they should be; durable before anything that follows."""
        new = orjson.loads(orjson.dumps(found))
        logical_clusters.settle(new)
        if new["metadata"].get("deletionTimestamp") and cluster.state != STOPPED:
            self._store.set_cluster_state(cluster, STOPPED)
        if new != found:
            self._store.commit(cluster, (put_of(self._type(cluster), new, ""),))
        return self._pending(cluster) or new

    # --- its end

    async def _end(self, cluster: LogicalCluster, found: Object) -> float:
        left: dict[str, int] = {}
        for resource in self._in_order(cluster):
            if left and resource.group_resource in _LAST:
                break
            empty = self._empty_of_workspaces if resource.group_resource == WORKSPACES else self._empty
            if number := await empty(cluster, resource):
                left[resource.group_resource] = number
        if left:
            self._held.add(cluster.id)
            await self._tell(await self._report(cluster, found, left))
            return _LOOK_AGAIN_S
        self._held.discard(cluster.id)
        return await self._let_go(cluster)

    def _in_order(self, cluster: LogicalCluster) -> Iterator[Resource]:
        """Workspaces first: their ends take longest. Then what lies in namespaces, before these."""
        found = [r for r in self._types.stored(cluster) if r.group_resource != LOGICAL_CLUSTERS]
        rank = {WORKSPACES: 0, **{each: 3 + place for place, each in enumerate(_LAST)}}
        return iter(sorted(found, key=lambda r: rank.get(r.group_resource, 1 if r.namespaced else 2)))

    async def _empty(self, cluster: LogicalCluster, resource: Resource) -> int:
        """Remove what may go at once, tell the rest to; how many are left. Waits for the disk only after much."""
        held, after = 0, None
        while True:
            items = self._store.scan_own(cluster, resource.group_resource, after, _SLICE)
            removals: list[Remove] = []
            waiting: list[ScanItem] = []
            for item in items:
                if waited_for(item.value):
                    waiting.append(item)
                else:
                    removals.append(remove_of(resource, item.namespace, item.name, item.value))
            group = self._store.commit(cluster, removals, author=CONTROLLER).group if removals else None
            held += len(waiting)
            async with asyncio.TaskGroup() as tasks:  # they wait for the same syncs
                for item in waiting:
                    if b'"deletionTimestamp":"' not in item.value:
                        tasks.create_task(self._delete(cluster, resource, item))
            if len(items) < _SLICE:
                return held
            if group is not None:
                await durable(group)
            after = (items[-1].namespace, items[-1].name)
            await asyncio.sleep(0)

    async def _empty_of_workspaces(self, cluster: LogicalCluster, resource: Resource) -> int:
        """As `_empty`: what can end at once does, in the same turn; the others are told to, many in a commit."""
        held, after = 0, None
        while items := self._store.scan_own(cluster, WORKSPACES, after, _SLICE):
            group = None
            for some in batched(items, _CHILDREN):
                await self._shard.turn(cluster.path)
                writes = self._ends.of_workspaces(cluster, resource, some)
                held += len(some) - sum(type(write) is Remove for write in writes)
                if writes:
                    group = self._store.commit(cluster, writes, author=CONTROLLER).group
            if group is not None:
                await durable(group)
            after = (items[-1].namespace, items[-1].name)
        return held

    async def _delete(self, cluster: LogicalCluster, resource: Resource, item: ScanItem) -> None:
        options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
        with suppress(ApiError, ReadOnly):  # what is still there is looked at again
            await self._client.delete(cluster, resource, item.namespace, item.name, options)

    async def _report(self, cluster: LogicalCluster, found: Object, left: Mapping[str, int]) -> Object:
        """The LogicalCluster, saying what is left."""
        shown = ", ".join(f"{name} has {number} resource instances" for name, number in sorted(left.items()))
        new = workspace_status.with_content_left(found, f"Some resources are remaining: {shown}", self._time())
        newest = self._pending(cluster)
        if new["status"] == found.get("status") or newest is None:
            return found
        if newest["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]:
            await durable(self._store.commit(cluster, (put_of(self._type(cluster), new, ""),)).group)
        return new

    async def _let_go(self, cluster: LogicalCluster) -> float:
        """Nothing is left: in this loop turn the path becomes free, unless something came meanwhile."""
        value = self._store.pending_own(cluster, LOGICAL_CLUSTERS, "", NAME)
        if value is None:
            return 0
        found: Object = orjson.loads(envelope.body(value))
        others = [each for each in found["metadata"].get("finalizers") or () if each != FINALIZER]
        if others or self._has_more(cluster):
            return _LOOK_AGAIN_S
        self._strays.pop(cluster.id, None)
        await self._released(
            found, self._store.remove_cluster(cluster, (remove_of(self._type(cluster), "", NAME, value),))
        )
        return 0

    def _has_more(self, cluster: LogicalCluster) -> bool:
        """Whether something came meanwhile. What stays the same for two looks is of types that nobody serves any more:
        it goes with the rest."""
        more = cluster.objects - 1
        if more <= 0 or self._strays.get(cluster.id) == more:
            return False
        self._strays[cluster.id] = more
        return True

    # --- its Workspace

    async def _released(self, found: Object, group: Group) -> None:
        """Let the Workspace go, which may be on any shard; its logical cluster has ended in that group of this turn."""
        owner = (found.get("spec") or {}).get("owner") or {}
        path, name, uid = owner.get("cluster") or "", owner.get("name") or "", owner.get("uid")
        if not path or not self._shard.is_ours(path):
            await durable(group)
        if not path:
            return
        if self._shard.is_ours(path):
            parent = self._store.pending_cluster(path)
            mine = release(self._shard, parent, name, uid) if parent is not None else None
            await durable(mine or group)
            return
        with suppress(ApiError, NotDurable):  # the Workspace's own shard looks again
            await self._shard.ask_for(pb.DELETE, path, _WORKSPACES, name, {"uid": uid}, _ASK_S, LOGICAL_CLUSTER)

    async def _tell(self, found: Object) -> None:
        """What the LogicalCluster says, at its Workspace. Raises ApiError for what may go better later."""
        owner = (found.get("spec") or {}).get("owner") or {}
        workspace = await self._workspace(owner)
        if workspace is None or not (workspace.get("spec") or {}).get("cluster"):
            return  # it is being scheduled, and will be told then
        new = workspace_status.mirroring(workspace, found, self._time())
        if new["status"] != workspace.get("status"):
            await self._put(owner, new, "status")

    async def _workspace(self, owner: Mapping[str, Any]) -> Object | None:
        if not owner.get("cluster"):
            return None
        path = owner["cluster"]
        if self._shard.is_ours(path):
            cluster = self._store.pending_cluster(path)
            value = None if cluster is None else self._store.pending(cluster, WORKSPACES, "", owner["name"])
            workspace: Object | None = None if value is None else orjson.loads(envelope.body(value))
        else:
            answer = await self._shard.ask_for(pb.GET, path, _WORKSPACES, owner["name"], None, _ASK_S)
            if answer.code not in (200, 404):
                raise ServiceUnavailable(f"{path} answered {answer.code}")
            workspace = orjson.loads(answer.body) if answer.code == 200 else None
        return workspace if workspace is not None and workspace["metadata"]["uid"] == owner.get("uid") else None

    async def _put(self, owner: Mapping[str, Any], workspace: Object, subresource: str) -> None:
        path = owner["cluster"]
        if self._shard.is_ours(path):
            cluster = self._store.pending_cluster(path)
            resource = self._shard.catalog.find(cluster, *_WORKSPACES)
            if cluster is not None and resource is not None:
                await self._client.update(cluster, resource, workspace, subresource)
            return
        answer = await self._shard.ask_for(pb.UPDATE, path, _WORKSPACES, owner["name"], workspace, _ASK_S, subresource)
        if answer.code not in (200, 404):
            raise ServiceUnavailable(f"{path} answered {answer.code}")

    # --- reading

    def _pending(self, cluster: LogicalCluster) -> Object | None:
        """What it holds itself: one without a parent has no phases."""
        value = self._store.pending_own(cluster, LOGICAL_CLUSTERS, "", NAME)
        return None if value is None else orjson.loads(envelope.body(value))

    def _type(self, cluster: LogicalCluster) -> Resource:
        found = self._shard.catalog.find(cluster, CORE, VERSION, "logicalclusters")
        assert found is not None, "always served"
        return found

    def _time(self) -> str:
        return timestamp(self._shard.now_us())

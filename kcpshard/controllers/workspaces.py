"""Brings workspaces to life and to their end: the side of the shard that holds the Workspace.

The logical cluster of a new Workspace is born where its path is served, here in the same group as the Workspace's new
status, elsewhere by a request to that shard; a birth that was answered to nobody is found again by the Workspace's uid.
Later phases are pushed by the logical cluster's own shard (`logical_clusters`). A deletion is passed on to the
LogicalCluster and looked after until its path is free.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from kcpshard.api.errors import Invalid, NotFound, ServiceUnavailable
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object, timestamp
from kcpshard.controllers.cluster_ends import ClusterEnds
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.contract import Resource
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from kcpshard.storage import envelope
from kcpshard.storage.contract import Group, LogicalCluster, NotDurable, ScanItem
from kcpshard.storage.durability import durable
from kcpshard.tenancy import logical_clusters, workspace_status
from kcpshard.tenancy.names import (
    CORE,
    FINALIZER,
    FORK_OF,
    LOGICAL_CLUSTERS,
    NAME,
    TENANCY,
    VERSION,
    WORKSPACE_LABELS,
    WORKSPACES,
)
from kcpshard.tenancy.type_graph import TypeFault
from kcpshard.verbs.fork import place
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.workspace_births import bear, birth_of
from kcpshard.verbs.writes import put_of

CONTROLLER = "workspace-controller"
LABELS = "labels"
_LOOK_AGAIN_S = 5.0  # at a path that is taken
_LOOK_AT_ENDS_S = 30.0  # at a deletion whose end nobody has told us of: thousands may be on their way
_ASK_S = 10.0


class Workspaces:
    """Keys are names of Workspaces, and LABELS with the name of one whose labels have changed."""

    name = CONTROLLER

    def __init__(self, shard: Shard) -> None:
        self._shard, self._store = shard, shard.store
        self._client = SystemClient(shard, CONTROLLER)
        self._ends = ClusterEnds(shard)
        shard.bears_workspaces = True  # and what cannot be done at once is done here

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource != WORKSPACES or change.type is EventType.DELETED:
            return ()
        # Quotes inside strings are escaped, so these are members; a label of such a name makes us look once too often.
        value = change.value
        is_new = b'"phase":"Scheduling"' in value or b'"cluster":"' not in value
        if is_new or b'"deletionTimestamp":"' in value:
            return ((change.name,),)
        return ((LABELS, change.name),) if _other_labels(change) else ()

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        workspace = self._pending(cluster, key[-1])
        if workspace is None:
            return 0
        if len(key) == 2:
            await self._tell_labels(cluster, workspace)
            return 0
        if workspace["metadata"].get("deletionTimestamp"):
            return await self._end(cluster, workspace)
        if (workspace.get("spec") or {}).get("cluster"):
            return 0
        return await self._begin(cluster, workspace)

    # --- the beginning

    async def _begin(self, cluster: LogicalCluster, workspace: Object) -> float:
        path = f"{cluster.path}:{workspace['metadata']['name']}"
        try:
            birth = await self._birth(cluster.path, workspace)
        except TypeFault as fault:
            return await self._unscheduled(cluster, workspace, "WorkspaceTypesInvalid", str(fault))
        origin = (workspace["metadata"].get("annotations") or {}).get(FORK_OF)
        try:
            if origin:
                await place(self._shard, path, origin)
            if self._shard.is_ours(path):
                group = await self._begin_when_settled(cluster, workspace, birth)
                if group is not None:
                    await durable(group)
                    return 0
            else:
                born = await self._born_elsewhere(birth)
                if born is not None:
                    await self._settle(cluster, workspace, birth, born)
                    return 0
        except Invalid as refusal:
            return await self._unscheduled(cluster, workspace, "ForkRefused", refusal.message)
        return await self._unscheduled(cluster, workspace, "NameTaken", f"the logical cluster {path} exists already")

    async def _birth(self, parent: str, workspace: Object) -> logical_clusters.Birth:
        while True:
            try:
                return birth_of(self._shard, parent, workspace)
            except NotDurable as wait:
                await durable(wait.group)

    async def _begin_when_settled(
        self, cluster: LogicalCluster, workspace: Object, birth: logical_clusters.Birth
    ) -> Group | None:
        """As `_begin_here`; a fork waits until nothing of its shard is pending."""
        while True:
            try:
                return self._begin_here(cluster, workspace, birth)
            except NotDurable as wait:
                await durable(wait.group)

    def _begin_here(self, cluster: LogicalCluster, workspace: Object, birth: logical_clusters.Birth) -> Group | None:
        """In one loop turn; None if the path is somebody else's."""
        existing = self._store.pending_cluster(birth.path)
        if existing is None:
            _, _, born = bear(self._shard, birth.path, logical_clusters.document(birth))
        else:
            found = self._logical_cluster(existing)
            if found is None or not _belongs(found, workspace):
                return None
            born = found
        return self._write(cluster, workspace, birth, born)

    async def _born_elsewhere(self, birth: logical_clusters.Birth) -> Object | None:
        """The LogicalCluster, or None if the path is somebody else's."""
        document = logical_clusters.document(birth)
        found = await self._ask(pb.CREATE, birth.path, "", document)
        if found.code == 409:
            found = await self._ask(pb.GET, birth.path, NAME)
        if found.code == 422:
            raise Invalid(str(orjson.loads(found.body).get("message")))
        if found.code not in (200, 201):
            raise ServiceUnavailable(f"the birth of {birth.path} was answered with {found.code}")
        born: Object = orjson.loads(found.body)
        return born if _belongs(born, birth.workspace) else None

    async def _settle(
        self, cluster: LogicalCluster, workspace: Object, birth: logical_clusters.Birth, born: Object
    ) -> None:
        group = self._write(cluster, workspace, birth, born)
        if group is not None:
            await durable(group)

    def _write(
        self, cluster: LogicalCluster, workspace: Object, birth: logical_clusters.Birth, born: Mapping[str, Any]
    ) -> Group | None:
        """The Workspace as it is now, with its logical cluster. None: it is not there any more."""
        newest = self._pending(cluster, workspace["metadata"]["name"])
        if newest is None or newest["metadata"]["uid"] != workspace["metadata"]["uid"]:
            return None
        new = workspace_status.scheduled(newest, birth.path, birth.url, born, self._time())
        return self._store.commit(cluster, (put_of(self._type(cluster), new, ""),)).group

    async def _unscheduled(self, cluster: LogicalCluster, workspace: Object, reason: str, message: str) -> float:
        newest = self._pending(cluster, workspace["metadata"]["name"])
        if newest is None:
            return 0
        new = workspace_status.unscheduled(newest, reason, message, self._time())
        if new["status"] != newest.get("status"):
            await durable(self._store.commit(cluster, (put_of(self._type(cluster), new, ""),)).group)
        return _LOOK_AGAIN_S

    async def _tell_labels(self, cluster: LogicalCluster, workspace: Object) -> None:
        """Its logical cluster knows them."""
        path = (workspace.get("spec") or {}).get("cluster")
        if not path:
            return  # it is born with them
        told: dict[str, str | None] = {WORKSPACE_LABELS: None}
        told.update(logical_clusters.labels_annotation(workspace["metadata"]))
        if self._shard.is_ours(path):
            existing = self._store.pending_cluster(path)
            found = self._logical_cluster(existing) if existing is not None else None
            if existing is None or found is None or not _belongs(found, workspace):
                return
            resource = self._shard.catalog.find(existing, CORE, VERSION, "logicalclusters")
            assert resource is not None, "always served"
            await self._client.merge(existing, resource, "", NAME, {"metadata": {"annotations": told}})
            return
        answer = await self._shard.ask_for(
            pb.PATCH, path, (CORE, VERSION, "logicalclusters"), NAME, {"metadata": {"annotations": told}}, _ASK_S,
            patch_type=pb.MERGE_PATCH,
        )  # fmt: skip
        if answer.code not in (200, 404):
            raise ServiceUnavailable(f"{path} answered {answer.code}")

    # --- the end

    async def _end(self, cluster: LogicalCluster, workspace: Object) -> float:
        meta = workspace["metadata"]
        if FINALIZER not in (meta.get("finalizers") or ()):
            return 0  # others hold it
        path = f"{cluster.path}:{meta['name']}"
        if (group := self._end_here(cluster, meta["name"], path)) is not None:
            await durable(group)
            return 0
        if await self._is_gone(path, workspace):
            kept = [each for each in meta["finalizers"] if each != FINALIZER]
            new = {**workspace, "metadata": {**meta, "finalizers": kept}}
            with suppress(NotFound):
                await self._client.update(cluster, self._type(cluster), new)
            return 0
        return _LOOK_AT_ENDS_S

    def _end_here(self, cluster: LogicalCluster, name: str, path: str) -> Group | None:
        """In this loop turn, both; None: the logical cluster is elsewhere, or does not end at once."""
        value = self._store.pending_own(cluster, WORKSPACES, "", name) if self._shard.is_ours(path) else None
        if value is None:
            return None
        removals = self._ends.of_workspaces(cluster, self._type(cluster), [ScanItem("", name, value)])
        return self._store.commit(cluster, removals, author=CONTROLLER).group if removals else None

    async def _is_gone(self, path: str, workspace: Object) -> bool:
        """Whether the workspace's logical cluster is no more; otherwise it has been told to go."""
        if self._shard.is_ours(path):
            existing = self._store.pending_cluster(path)
            found = self._logical_cluster(existing) if existing is not None else None
            if existing is None or found is None or not _belongs(found, workspace):
                return True
            if not found["metadata"].get("deletionTimestamp"):
                resource = self._shard.catalog.find(existing, CORE, VERSION, "logicalclusters")
                assert resource is not None, "always served"
                await self._client.delete(existing, resource, "", NAME, {})
            return False
        uid = logical_clusters.uid_of(workspace["metadata"]["uid"])
        answer = await self._ask(pb.DELETE, path, NAME, {"preconditions": {"uid": uid}})
        if answer.code == 409:  # another one's, or born when uids were not known beforehand
            answer = await self._ask(pb.GET, path, NAME)
        elif answer.code == 200:
            return False
        if answer.code == 404:
            return True
        if answer.code != 200:
            raise ServiceUnavailable(f"{path} answered {answer.code}")
        elsewhere = orjson.loads(answer.body)
        if not _belongs(elsewhere, workspace):
            return True
        if not elsewhere["metadata"].get("deletionTimestamp"):
            await self._ask(pb.DELETE, path, NAME, {"preconditions": {"uid": elsewhere["metadata"]["uid"]}})
        return False

    # --- reading

    def _pending(self, cluster: LogicalCluster, name: str) -> Object | None:
        value = self._store.pending(cluster, WORKSPACES, "", name)
        return None if value is None else orjson.loads(envelope.body(value))

    def _logical_cluster(self, cluster: LogicalCluster) -> Object | None:
        value = self._store.pending_own(cluster, LOGICAL_CLUSTERS, "", NAME)
        return None if value is None else orjson.loads(envelope.body(value))

    def _type(self, cluster: LogicalCluster) -> Resource:
        found = self._shard.catalog.find(cluster, TENANCY, VERSION, "workspaces")
        assert found is not None, "always served"
        return found

    def _time(self) -> str:
        return timestamp(self._shard.now_us())

    async def _ask(self, verb: "pb.Verb.ValueType", path: str, name: str, body: Any = None) -> Result:
        return await self._shard.ask_for(verb, path, (CORE, VERSION, "logicalclusters"), name, body, _ASK_S)


def _other_labels(change: Change) -> bool:
    """Where what was before is not known, after a restart, those that there are count as new."""
    labels = envelope.labels(change.value)
    return labels != envelope.labels(change.previous) if change.previous is not None else bool(labels)


def _belongs(logical_cluster: Mapping[str, Any], workspace: Mapping[str, Any]) -> bool:
    owner = (logical_cluster.get("spec") or {}).get("owner") or {}
    return bool(owner.get("uid") == workspace["metadata"]["uid"])

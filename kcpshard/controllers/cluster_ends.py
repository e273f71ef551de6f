"""Ends logical clusters at once that hold little, and nothing that anybody waits for: all of it in one commit.

Nothing here waits, so nobody can come in between. What does not end so is emptied step by step (`logical_clusters`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from kcpshard.api.objects import Object
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.storage import envelope
from kcpshard.storage.contract import Group, LogicalCluster, Put, Remove, ScanItem
from kcpshard.tenancy.names import FINALIZER, LOGICAL_CLUSTERS, NAME, WORKSPACES
from kcpshard.verbs.finalization import DeleteOptions, marked
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.workspace_births import logical_cluster_type
from kcpshard.verbs.writes import put_of, remove_of

MOST = 64  # objects: about a millisecond
# Finalizers of controllers that have nothing more to do where everything goes.
_OURS = frozenset({"foregroundDeletion", "orphan", "customresourcecleanup.apiextensions.k8s.io"})
_DELETION = DeleteOptions("Background", 0)
T = TypeVar("T")


class ClusterEnds:
    def __init__(self, shard: Shard) -> None:
        self._shard, self._store = shard, shard.store
        self._types = ResourceTypes(shard.catalog)

    def at_once(self, cluster: LogicalCluster, found: Mapping[str, Any]) -> Group | None:
        """All that it holds and its path, if it may go; `found` is its LogicalCluster. None: not at once."""
        others = set(found["metadata"].get("finalizers") or ()) - {FINALIZER}
        is_awaited = others or (found.get("status") or {}).get("terminators")
        if is_awaited or cluster.objects > MOST or self._store.is_fork(cluster.id):
            return None
        items = self._store.scan_everything(cluster, MOST + 1)
        removals = [self._removal(cluster, *each) for each in items]
        told = [each for each in removals if each is not None]
        if len(told) < len(items) or len(told) > MOST:
            return None
        return self._store.remove_cluster(cluster, told)

    def _removal(self, cluster: LogicalCluster, group_resource: str, item: ScanItem) -> Remove | None:
        """None of what somebody waits for, of a child workspace, and of what defines types or belongs to none."""
        if group_resource == LOGICAL_CLUSTERS:
            return remove_of(logical_cluster_type(self._shard), "", NAME, item.value)
        if group_resource in (WORKSPACES, CRDS) or waited_for(item.value):
            return None
        resource = self._types.stored_as(cluster, group_resource)
        return None if resource is None else remove_of(resource, item.namespace, item.name, item.value)

    def of_workspaces(
        self, cluster: LogicalCluster, resource: Resource, items: Sequence[ScanItem]
    ) -> list[Put | Remove]:
        """What becomes of Workspaces in a logical cluster that ends: gone, with their logical clusters, or marked."""
        writes: list[Put | Remove] = []
        for item in items:
            value = self._store.pending_own(cluster, WORKSPACES, "", item.name)
            if value is None:
                continue
            workspace: Object = orjson.loads(envelope.body(value))
            others = set(workspace["metadata"].get("finalizers") or ()) - _OURS - {FINALIZER}
            if not others and self._is_gone(f"{cluster.path}:{item.name}", workspace):
                writes.append(remove_of(resource, "", item.name, value))
            elif "deletionTimestamp" not in workspace["metadata"]:
                new = marked(WORKSPACES, workspace, _DELETION, 0, self._shard.now_us())
                writes.append(remove_of(resource, "", item.name, value) if new is None else put_of(resource, new, ""))
        return writes

    def _is_gone(self, path: str, workspace: Mapping[str, Any]) -> bool:
        """Whether its logical cluster has ended, perhaps just now."""
        if not self._shard.is_ours(path):
            return False
        child = self._store.pending_cluster(path)
        value = None if child is None else self._store.pending_own(child, LOGICAL_CLUSTERS, "", NAME)
        if child is None or value is None:
            return True
        found = orjson.loads(envelope.body(value))
        owner = (found.get("spec") or {}).get("owner") or {}
        if owner.get("uid") != workspace["metadata"]["uid"]:
            return True
        try:
            return self.at_once(child, found) is not None
        except NotOwned:  # it moves away
            return False


def waited_for(value: bytes) -> list[str]:
    """The finalizers of an object that have to be waited for."""
    if b'"finalizers"' not in value:
        return []
    found = orjson.loads(envelope.body(value))["metadata"].get("finalizers") or ()
    return [each for each in found if each not in _OURS]


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))

"""Where a logical cluster stands in the tree: whether it is a workspace, and whose rights and APIs are its own too."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.events import Commit
from kcpshard.authorization.authorizer import Authorizer, InTree
from kcpshard.authorization.inheritance import Ancestor
from kcpshard.authorization.layer import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, Layer, Place
from kcpshard.authorization.rules import Rule
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ObjectStore
from kcpshard.tenancy.copies import Copies
from kcpshard.tenancy.names import APIS, AUTHENTICATION, LOGICAL_CLUSTERS, NAME, RBAC, ancestors

HANDED_DOWN = (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, CRDS)
_TAG, _CHANGES = "handed down", "changes of what is handed down"  # keys in LogicalCluster.cached
_APIS = "inherited APIs"  # key in LogicalCluster.cached; what a logical cluster inherits never changes


class TreeStanding:
    """For `Authorizer.stand_in_a_tree`, and `CustomCatalog.inheritance`. `copies` where there are other shards."""

    def __init__(self, store: ObjectStore, authorizer: Authorizer, is_ours: Callable[[str], bool]) -> None:
        self._store, self._authorizer, self.is_ours = store, authorizer, is_ours
        self.copies: Copies | None = None
        store.on_commit(self._see)

    # --- what a logical cluster hands down: whether it is what it was

    def tag(self, cluster: LogicalCluster) -> str:
        """Of what it hands down, as `remember_tag` was told; "": it has changed since."""
        found = cluster.cached.get(_TAG)
        return found if isinstance(found, str) else ""

    def changes(self, cluster: LogicalCluster) -> object:
        """Something else after each change."""
        return cluster.cached.setdefault(_CHANGES, object())

    def remember_tag(self, cluster: LogicalCluster, tag: str, changes: object) -> None:
        """Unless something has changed since `changes` was told."""
        if cluster.cached.get(_CHANGES) is changes:
            cluster.cached[_TAG] = tag

    def _see(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            for change in commit.changes:
                if change.group_resource in HANDED_DOWN:
                    cluster = self._store.cluster_by_id(commit.cluster_id)
                    if cluster is not None:
                        cluster.cached.pop(_TAG, None)
                        cluster.cached.pop(_CHANGES, None)

    # --- where it stands

    def __call__(self, cluster: LogicalCluster) -> InTree:
        document = self.document(cluster)
        if document is None:
            return InTree(False)
        spec = document.get("spec") or {}
        found: Sequence[tuple[str, Ancestor]] = ()
        if RBAC in (spec.get("inherit") or ()):
            found = [(path, _Anywhere(self, self._authorizer, path)) for path in ancestors(cluster.path)]
        return InTree(bool(spec.get("owner")), found)

    def paths(self, cluster: LogicalCluster) -> Sequence[str]:
        """Whose definitions it takes over: for `CustomCatalog.inheritance`."""
        known = cluster.cached.get(_APIS)
        if type(known) is not tuple:
            spec = (self.document(cluster) or {}).get("spec") or {}
            known = tuple(ancestors(cluster.path)) if APIS in (spec.get("inherit") or ()) else ()
            cluster.cached[_APIS] = known
        return known

    def hosts(self, cluster: LogicalCluster) -> Sequence[str]:
        """Ancestors whose accounts are somebody in it too."""
        spec = (self.document(cluster) or {}).get("spec") or {}
        return ancestors(cluster.path) if AUTHENTICATION in (spec.get("inherit") or ()) else ()

    def definitions(self, path: str) -> Sequence[Mapping[str, Any]] | None:
        return None if self.is_ours(path) else self.copies_of(path).definitions(path)

    def document(self, cluster: LogicalCluster) -> Mapping[str, Any] | None:
        """Its LogicalCluster, if it holds one itself."""
        value = self._store.pending_own(cluster, LOGICAL_CLUSTERS, "", NAME)
        return None if value is None else orjson.loads(envelope.body(value))

    def copies_of(self, path: str) -> Copies:
        if self.copies is None:
            raise ServiceUnavailable(f"the logical cluster {path} is not served here", retry_after_s=1)
        return self.copies


class _Anywhere:
    """An ancestor that may move from shard to shard."""

    def __init__(self, standing: TreeStanding, authorizer: Authorizer, path: str) -> None:
        self._standing, self._path = standing, path
        self._here = authorizer.ancestor_here(path)

    def layer(self) -> Layer:
        if self._standing.is_ours(self._path):
            return self._here.layer()
        return self._standing.copies_of(self._path).layer(self._path)

    def role(self, kind: str, place: Place) -> tuple[Rule, ...] | None:
        if self._standing.is_ours(self._path):
            return self._here.role(kind, place)
        return self._standing.copies_of(self._path).role(self._path, place)

"""What each logical cluster has bound and accepted, as requests through an exporter's view are judged by it.

Read from the APIBindings of a logical cluster when somebody first asks, kept on `LogicalCluster.cached`, and dropped
with each durable change of one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from kcpshard.api.events import Commit
from kcpshard.api.label_selectors import InvalidSelector, selector_of
from kcpshard.api.selectors import LabelSelector
from kcpshard.definitions.api_schemas import BINDING, BOUND_TYPES, POLICY
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ObjectStore
from kcpshard.tenancy.exports import BINDINGS, ExportReference, Type, reference_of

_CACHED = "bindings"
_SCANNED = 256
_TYPES = (BINDINGS, BOUND_TYPES)


class Claim(NamedTuple):
    """What an exporter may do with objects that are not of its own types."""

    verbs: frozenset[str]
    labels: LabelSelector | None  # None: all of them

    def allows(self, verb: str) -> bool:
        return "*" in self.verbs or verb in self.verbs


class Binding(NamedTuple):
    name: str
    export: ExportReference
    types: frozenset[Type]
    claims: Mapping[Type, Claim]
    has_policy: bool = False  # the exporter's own RBAC bounds what may be done


class BoundApis:
    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        store.on_commit(self._see)

    def bindings(self, cluster: LogicalCluster) -> Sequence[Binding]:
        """Those that are bound."""
        found = cluster.cached.get(_CACHED)
        if not isinstance(found, tuple):
            found = cluster.cached[_CACHED] = tuple(self._read(cluster))
        return found

    def through(self, cluster: LogicalCluster, export: ExportReference) -> Binding | None:
        return next((each for each in self.bindings(cluster) if each.export == export), None)

    def of_type(self, cluster: LogicalCluster, type_: Type) -> Binding | None:
        """The binding that brings a type."""
        return next((each for each in self.bindings(cluster) if type_ in each.types), None)

    def _read(self, cluster: LogicalCluster) -> list[Binding]:
        store, found = self._store, list[Binding]()
        bounded = self._bounded(cluster)
        after: tuple[str, str] | None = None
        while True:
            items = store.scan(cluster, BINDINGS, "", store.durable_revision, after, _SCANNED)
            for item in items:
                binding = read_binding(orjson.loads(envelope.body(item.value)), cluster.path)
                if binding is not None:
                    found.append(binding._replace(has_policy=binding.name in bounded))
            if len(items) < _SCANNED:
                return found
            after = (items[-1].namespace, items[-1].name)

    def _bounded(self, cluster: LogicalCluster) -> set[str]:
        """Names of bindings whose types the exporter's policy bounds."""
        items = self._store.scan(cluster, BOUND_TYPES, "", self._store.durable_revision, None, _SCANNED)
        noted = [orjson.loads(envelope.body(item.value))["metadata"]["annotations"] for item in items]
        return {each[BINDING] for each in noted if each.get(POLICY)}

    def _see(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            if any(change.group_resource in _TYPES for change in commit.changes):
                cluster = self._store.cluster_by_id(commit.cluster_id)
                if cluster is not None:
                    cluster.cached.pop(_CACHED, None)


def read_binding(obj: Mapping[str, Any], here: str) -> Binding | None:
    """None if nothing is bound yet."""
    status = obj.get("status") or {}
    if status.get("phase") != "Bound":
        return None
    types = frozenset((each.get("group") or "", each["resource"]) for each in status.get("boundResources") or ())
    claims = {}
    for each in status.get("appliedPermissionClaims") or ():
        claims[each.get("group") or "", each["resource"]] = Claim(frozenset(each.get("verbs") or ()), _labels(each))
    return Binding(obj["metadata"]["name"], reference_of(obj, here), types, claims)


def _labels(claim: Mapping[str, Any]) -> LabelSelector | None:
    selector = claim.get("selector") or {}
    if selector.get("matchAll"):
        return None
    try:
        return selector_of({key: value for key, value in selector.items() if key != "matchAll"})
    except InvalidSelector:
        return selector_of({"matchLabels": {"": "nothing is selected by what cannot be read"}})

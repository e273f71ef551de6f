"""What one caller sees when it reads many logical clusters at once.

Decides for each logical cluster whether its objects are shown (the pattern covers it, this shard serves it, the caller
may list or watch that very thing there) and in which form they are. An administrator of the installation may
everywhere; a credential of one logical cluster counts in that one alone. The installation's own logical clusters are
never shown. Decisions are remembered: `changed` finds out whether one of them would be another now.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from kcpshard.api.errors import ApiError, Expired, Forbidden, Unauthorized
from kcpshard.api.names import covers
from kcpshard.api.proofs import decode_proof
from kcpshard.api.requests import decode_identity
from kcpshard.api.selectors import LabelSelector, parse_label_selector
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.policy import MASTERS
from kcpshard.definitions.api_schemas import BOUND_TYPES
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.storage import envelope
from kcpshard.storage.contract import NotDurable
from kcpshard.tenancy.exports import ExportReference
from kcpshard.tenancy.logical_clusters import workspace_labels
from kcpshard.verbs.export_view import check_content, offers, read_view
from kcpshard.verbs.impersonation import impersonated_everywhere
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.permission_policy import is_within_policy
from kcpshard.verbs.proofs import prove
from kcpshard.verbs.shard import Shard

_MAX_KNOWN = 4_096  # annotations of an administrator's view; of others all are kept, to see what changes
_UNKNOWN = object()
_CHECKED = 64  # decisions looked at again in one go


class Place:
    """One logical cluster of a view: the annotation of its objects, and their type there."""

    __slots__ = ("annotation", "labels", "make", "path", "resource", "selection")

    def __init__(
        self, path: str, resource: Resource, make: Callable[[bytes], bytes] | None, labels: LabelSelector | None = None
    ) -> None:
        self.path, self.annotation = path, envelope.annotation_of(path)
        self.labels = labels  # None: all objects are shown
        self.resource, self.make = resource, make  # None: as stored
        self.selection: object = None  # of a watch, which keeps it here

    def shows(self, value: bytes) -> bool:
        return self.labels is None or self.labels.matches(envelope.labels(value))

    def served(self, value: bytes) -> bytes:
        """The JSON as it is served there. Raises NotConverted."""
        body = envelope.body(value)
        return body if self.make is None or _is_current(value, self.resource) else self.make(body)

    def body(self, value: bytes, at_revision: int = 0) -> bytes:
        """The JSON as a reader of many logical clusters gets it. Raises NotConverted."""
        if self.make is None or _is_current(value, self.resource):
            return envelope.annotated_body(value, self.annotation, at_revision)
        json = envelope.body_at(value, at_revision) if at_revision else envelope.body(value)
        return envelope.annotated_document(self.make(json), self.annotation)


class WildcardView:
    """`resource` is the built-in type, or that of some logical cluster; None: no one here serves it yet."""

    def __init__(
        self, shard: Shard, pattern: str, identity: bytes, wanted: Attributes, export: ExportReference | None = None,
        workspaces: str = "",
    ) -> None:  # fmt: skip
        """`export`: what those show that bind it, whoever asks. `workspaces`: a selector of labels; those of others are
        not shown. Raises Unauthorized, BadRequest."""
        self._export, self.proof = export, b""
        self._workspaces = parse_label_selector(workspaces) if workspaces else None
        if not identity:
            raise Unauthorized("Unauthorized")
        self._shard, self._pattern, self.identity, self._wanted = shard, pattern, identity, wanted
        found = decode_identity(identity)
        self._scope = found.scope
        self._may_all = MASTERS in found.groups and not found.scope and export is None
        self._sees_all = self._may_all and self._workspaces is None  # nothing is decided by what may change
        self._places: dict[int, Place | None] = {}
        self._builtin = shard.catalog.find(None, wanted.group, wanted.version, wanted.resource)
        self.resource = self._builtin or self._any_definition()

    @property
    def group_resource(self) -> str:
        if self.resource is None:
            return f"{self._wanted.resource}.{self._wanted.group}"
        return (self.resource.storage_resource or self.resource).group_resource

    @property
    def retention(self) -> int:
        return 0 if self.resource is None else (self.resource.storage_resource or self.resource).retention

    def place(self, cluster_id: int, path: str = "") -> Place | None:
        """None: its objects are not shown. Raises NotDurable while what decides is being read."""
        known = self._places.get(cluster_id, _UNKNOWN)
        if known is not _UNKNOWN:
            return known  # type: ignore[return-value]
        path = path or self._path_of(cluster_id)
        if not covers(self._pattern, path):
            return None
        if self._sees_all and len(self._places) >= _MAX_KNOWN:
            self._places.clear()
        if not self._may(cluster_id, path):
            self._places[cluster_id] = None
            return None
        resource = self._builtin or self._find(path)
        if resource is None:
            return None  # not yet: not to be remembered
        labels = self._claim_labels(path)
        found = self._places[cluster_id] = Place(path, resource, self._maker(resource), labels)
        return found

    def _path_of(self, cluster_id: int) -> str:
        """Raises Expired where nobody can tell any more whether it was seen."""
        store = self._shard.store
        cluster = store.cluster_by_id(cluster_id)
        if cluster is not None:
            return cluster.path
        path = store.path_of(cluster_id)
        if not path or not (self._sees_all or not covers(self._pattern, path)):
            raise Expired("a logical cluster has gone, of which it is not known whether it was shown: list again")
        return path

    def _claim_labels(self, path: str) -> LabelSelector | None:
        if self._export is None or (cluster := self._shard.store.pending_cluster(path)) is None:
            return None
        binding = self._shard.bound.through(cluster, self._export)
        claim = binding.claims.get((self._wanted.group, self._wanted.resource)) if binding is not None else None
        return claim.labels if claim is not None else None

    def _may(self, cluster_id: int, path: str) -> bool:
        """Raises Expired for what is just being handed over to another shard, or has been."""
        shard = self._shard
        try:
            shard.ownership.check(path)
        except NotOwned:
            raise Expired(f"the logical cluster {path} is on its way to another shard: list again") from None
        try:
            if self._workspaces is not None and not self._is_chosen(path):
                return False
            if self._may_all:
                return True
            if self._export is not None:
                return self._is_offered(path)
            if self._scope and self._scope != cluster_id:
                return False
            cluster = shard.store.pending_cluster(path)
            if cluster is None or cluster.id != cluster_id:
                return False
            found = shard.authorizer.decide(cluster, path, self.identity, self._wanted)
            return found.allowed and is_within_policy(shard, cluster, self.identity, self._wanted)
        except Unauthorized:
            return False

    def _is_chosen(self, path: str) -> bool:
        cluster = self._shard.store.pending_cluster(path)
        assert self._workspaces is not None
        return cluster is not None and self._workspaces.matches(
            workspace_labels(self._shard.standing.document(cluster))
        )

    def _is_offered(self, path: str) -> bool:
        cluster = self._shard.store.pending_cluster(path)
        assert self._export is not None
        return cluster is not None and offers(self._shard, cluster, self._export, self._wanted)

    def forget(self, cluster_id: int) -> None:
        """Its definitions have changed: decide anew."""
        self._places.pop(cluster_id, None)

    async def changed(self) -> bool:
        """Whether another decision would be taken somewhere. The loop is free in between."""
        if self._sees_all:
            return False
        if self._export is not None and not self._has_content():
            return True
        for count, (cluster_id, known) in enumerate(list(self._places.items())):
            if count % _CHECKED == 0:
                await asyncio.sleep(0)
            cluster = self._shard.store.cluster_by_id(cluster_id)
            try:
                if cluster is not None and self._may(cluster_id, cluster.path) is not (known is not None):
                    return True
            except (NotDurable, Expired):
                continue  # being read, or moved, just now; a minute later is soon enough
        return False

    def _has_content(self) -> bool:
        assert self._export is not None
        try:
            check_content(self._shard, self.identity, self.proof, self._export, self._wanted.verb)
        except NotDurable:
            return True  # being asked of another shard: the next time is soon enough
        except ApiError as error:
            return error.code not in (401, 403)
        return True

    # --- types that logical clusters define for themselves

    def _find(self, path: str) -> Resource | None:
        wanted, cluster = self._wanted, self._shard.store.pending_cluster(path)
        return (
            None
            if cluster is None
            else self._shard.catalog.find(cluster, wanted.group, wanted.version, wanted.resource)
        )

    def _maker(self, resource: Resource) -> Callable[[bytes], bytes] | None:
        if resource.storage_resource is None and resource.definition is None:
            return None
        catalog = self._shard.catalog
        return lambda json: orjson.dumps(catalog.convert(orjson.loads(json), resource))

    def _any_definition(self) -> Resource | None:
        """Of the first logical cluster here that serves the type; they may differ in all but the name. One that holds
        objects of it may have it from an ancestor; one that holds a definition may not have objects yet."""
        store, wanted = self._shard.store, self._wanted
        name = f"{wanted.resource}.{wanted.group}"
        for cluster_id in store.clusters_with(name):
            if (found := self._served_in(cluster_id)) is not None:
                return found
        for kept_under in (CRDS, BOUND_TYPES):
            for cluster_id in store.clusters_with(kept_under):
                cluster = store.cluster_by_id(cluster_id)
                if cluster is None or store.pending_own(cluster, kept_under, "", name) is None:
                    continue
                if (found := self._served_in(cluster_id)) is not None:
                    return found
        return None

    def _served_in(self, cluster_id: int) -> Resource | None:
        cluster = self._shard.store.cluster_by_id(cluster_id)
        return None if cluster is None else self._find(cluster.path)


def _is_current(value: bytes, resource: Resource) -> bool:
    if resource.definition is not None:
        return envelope.fingerprint(value) == resource.fingerprint
    return envelope.api_version(value) == resource.api_version


def view_for(shard: Shard, asking: Any, wanted: Attributes) -> WildcardView:
    """Of a Request or a StartWatch. Raises Unauthorized, Forbidden; NotDurable until another shard has answered."""
    if not asking.view:
        return WildcardView(shard, asking.cluster, who_asks(shard, asking), wanted, None, asking.workspace_selector)
    if asking.impersonation:
        raise Forbidden("impersonation is not possible through the view of an APIExport")
    if not asking.identity:
        raise Unauthorized("Unauthorized")
    export = read_view(asking.view)
    check_content(shard, asking.identity, asking.proof, export, wanted.verb)
    view = WildcardView(shard, asking.cluster, asking.identity, wanted, export, asking.workspace_selector)
    view.proof = asking.proof
    return view


def who_asks(shard: Shard, asking: Any) -> bytes:
    """Of a Request or a StartWatch: the identity that reads many logical clusters. Raises Unauthorized, Forbidden."""
    if asking.proof:
        prove_everywhere(shard, asking.proof)
    if not asking.impersonation:
        asked_by: bytes = asking.identity
        return asked_by
    found = decode_identity(asking.identity)
    if MASTERS not in found.groups or found.scope:
        raise Forbidden("impersonation over many logical clusters is for administrators of the installation")
    identity: bytes = impersonated_everywhere(asking.impersonation).encode()
    return identity


def prove_everywhere(shard: Shard, raw: bytes) -> None:
    """Raises Unauthorized. A credential of one logical cluster sees nothing elsewhere: only its own shard judges it."""
    try:
        proof = decode_proof(raw)
    except (ValueError, TypeError):
        raise Unauthorized("Unauthorized") from None
    if not proof.cluster or proof.bootstrap is not None:
        raise Unauthorized("Unauthorized")
    cluster = shard.store.cluster_by_id(proof.cluster)
    if cluster is not None:
        prove(shard, cluster.path, raw)

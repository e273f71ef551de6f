"""Brings APIBindings into force: copies what an APIExport offers into the logical cluster that binds it.

The export and its schemas may lie on any shard. Copies and status are one commit, so a binding that says Bound is
served, here and after any restart. What was bound stays when the export is gone or leaves a type out: the data is the
binder's. The end of a binding takes the objects of its types with it, as the end of a definition does.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object, timestamp
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.export_followers import ExportFollowers
from kcpshard.controllers.object_removal import remove_all
from kcpshard.definitions.api_schemas import BINDING, BOUND_TYPES, definition_of, ending, schema_faults
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.crd_documents import Names, header_fields, names_of
from kcpshard.definitions.crd_naming import Taken
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import Group, LogicalCluster, Put, Remove
from kcpshard.storage.durability import durable
from kcpshard.tenancy import exports
from kcpshard.tenancy.binding_status import (
    CONFLICTS,
    DELETED,
    EXPORT_VALID,
    NOT_FOUND,
    SCHEMA_INVALID,
    UP_TO_DATE,
    BindingStatus,
    bound_resource,
)
from kcpshard.tenancy.exports import (
    APIS,
    BINDINGS,
    EXPORTS,
    FINALIZER,
    OLD_VERSION,
    SCHEMAS,
    VERSION,
    ExportReference,
    Offered,
)
from kcpshard.verbs.finalization import is_finished
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.writes import put_of, remove_of

CONTROLLER = "apibinding-controller"
_AGAIN_S = 2.0  # while something is missing that nobody tells us of
_ASK_S = 10.0
_SCANNED = 256


class Found(NamedTuple):
    """What is known of an export; `schemas` by name, None: missing."""

    export: Object | None
    schemas: Mapping[str, Object | None]


class ApiBindings:
    """Keys are names of APIBindings."""

    name = CONTROLLER

    def __init__(self, shard: Shard, followers: ExportFollowers) -> None:
        assert isinstance(shard.catalog, Catalog) and shard.catalog.custom is not None
        self._shard, self._store, self._custom = shard, shard.store, shard.catalog.custom
        self.followers = followers
        self._builtin: dict[str, list[Names]] = {}
        for r in shard.catalog.resources(None):
            names = Names(r.plural, r.singular, r.kind, r.list_kind, r.short_names, ())
            self._builtin.setdefault(r.group, []).append(names)

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource in (EXPORTS, SCHEMAS):
            self.followers.wake()
        if change.group_resource != BINDINGS:
            return ()
        if change.type is EventType.DELETED:
            self.followers.leave(cluster_id, change.name)
            return ()
        return ((change.name,),)

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        binding = self._pending(cluster, BINDINGS, key[0])
        if binding is None:
            return 0
        if binding["metadata"].get("deletionTimestamp"):
            return await self._end(cluster, binding)
        reference = exports.reference_of(binding, cluster.path)
        self.followers.follow(reference, cluster.id, key[0])
        found = await self._find(reference)
        newest = self._pending(cluster, BINDINGS, key[0])
        if newest is None or newest["metadata"].get("deletionTimestamp"):
            return 0.01
        if found.export is not None:
            self.followers.saw(reference, str(found.export["metadata"]["resourceVersion"]))
        return await self._settle(cluster, newest, reference, found)

    # --- binding

    async def _settle(
        self, cluster: LogicalCluster, binding: Object, reference: ExportReference, found: Found
    ) -> float:
        """In the turn in which the binding was read."""
        status = BindingStatus(binding, timestamp(self._shard.now_us()))
        writes: list[Put | Remove] = []
        export = found.export
        again = 0.0
        if export is None:
            status.say(EXPORT_VALID, NOT_FOUND, f"APIExport {reference} not found")
        elif not exports.identity_hash(export):
            status.say(EXPORT_VALID, "IdentityMissing", f"APIExport {reference} has no identity yet")
            again = _AGAIN_S
        elif fault := _fault(found):
            status.say(EXPORT_VALID, SCHEMA_INVALID, fault)
            again = _AGAIN_S
        else:
            status.say(EXPORT_VALID)
            again = self._bind(cluster, binding, reference, found, status, writes)
        new = {**binding, "status": status.finished()}
        if new["status"] != binding.get("status"):
            writes.append(put_of(self._type(cluster), new, ""))
        if writes:
            await durable(self._store.commit(cluster, writes).group)
        return again

    def _bind(
        self, cluster: LogicalCluster, binding: Object, reference: ExportReference, found: Found,
        status: BindingStatus, writes: list[Put | Remove],
    ) -> float:  # fmt: skip
        export, name = found.export, binding["metadata"]["name"]
        assert export is not None
        identity, conflicts = exports.identity_hash(export), list[str]()
        bound = {(each["group"], each["resource"]): each for each in _bound(binding)}
        for offer in exports.offered(export):
            schema = found.schemas[offer.schema]
            assert schema is not None
            document = definition_of(schema, name, has_policy=exports.has_policy(export))
            if conflict := self._conflict(cluster, name, document):
                conflicts.append(conflict)
                continue
            bound[offer.group, offer.plural] = bound_resource(offer.group, offer.plural, schema, identity)
            if not self._is_copied(cluster, document):
                writes.append(_copy(document))
        status.claim(exports.claims(export), (binding.get("spec") or {}).get("permissionClaims") or ())
        if conflicts:
            status.say(UP_TO_DATE, CONFLICTS, "; ".join(conflicts))
        else:
            status.say(UP_TO_DATE)
        if bound and (not conflicts or len(bound) > len(conflicts)):
            status.bind(reference.path, [bound[key] for key in sorted(bound)])
        return _AGAIN_S if conflicts else 0.0

    def _conflict(self, cluster: LogicalCluster, binding: str, document: Object) -> str:
        """Why the names of a type cannot be used here; "" if they can."""
        index, names = self._custom.index(cluster), names_of(document["spec"]["names"])
        group, full = document["spec"]["group"], document["metadata"]["name"]
        held = self._pending(cluster, BOUND_TYPES, full)
        holder = held["metadata"]["annotations"][BINDING] if held is not None else ""
        if holder and holder != binding:
            return f"naming conflict with APIBinding {holder}: {full} is bound already"
        own = index.bound.get(full)
        taken = Taken(self._builtin.get(group, ()), index.claims.get(group), own.summary.names if own else None)
        used = [n for n in (names.plural, names.singular, *names.short_names) if n and n in taken.resources]
        used += [n for n in (names.kind, names.list_kind) if n and n in taken.kinds]
        if used:
            return f"naming conflict of {full} with a type of this logical cluster: {', '.join(sorted(set(used)))}"
        return ""

    def _is_copied(self, cluster: LogicalCluster, document: Object) -> bool:
        held = self._pending(cluster, BOUND_TYPES, document["metadata"]["name"])
        if held is None:
            return False
        return bool(held["metadata"]["annotations"] == document["metadata"]["annotations"])

    # --- the end

    async def _end(self, cluster: LogicalCluster, binding: Object) -> float:
        meta = binding["metadata"]
        if FINALIZER not in (meta.get("finalizers") or ()):
            return 0  # others hold it
        copies = self._copies(cluster, meta["name"])
        marks = [_copy(ending(each)) for each in copies if ending(each) != each]
        if marks:
            await durable(self._store.commit(cluster, marks).group)
        left = [each["metadata"]["name"] for each in copies if not await self._remove_objects(cluster, each)]
        newest = self._pending(cluster, BINDINGS, meta["name"])
        if newest is None:
            return 0
        if left:
            await self._say_left(cluster, newest, left)
            return _AGAIN_S
        await durable(self._let_go(cluster, newest))
        self.followers.leave(cluster.id, meta["name"])
        return 0

    async def _remove_objects(self, cluster: LogicalCluster, document: Object) -> bool:
        definition = self._custom.index(cluster).bound.get(document["metadata"]["name"])
        if definition is None or not definition.summary.terminating:
            return False  # the commit of this state is on its way to us: from it on nothing is created
        self._custom.load(cluster, definition)
        return await remove_all(self._shard, cluster, definition.storage)

    async def _say_left(self, cluster: LogicalCluster, binding: Object, left: list[str]) -> None:
        status = BindingStatus(binding, timestamp(self._shard.now_us()))
        message = f"objects of {', '.join(left)} remain: finalizers hold them"
        status.say(DELETED, "SomeResourcesRemain", message)
        new = {**binding, "status": status.finished()}
        if new["status"] != binding.get("status"):
            await durable(self._store.commit(cluster, (put_of(self._type(cluster), new, ""),)).group)

    def _let_go(self, cluster: LogicalCluster, binding: Object) -> Group:
        """Copies and finalizer, and the binding if that was the last one, in one commit."""
        meta, resource = binding["metadata"], self._type(cluster)
        writes: list[Put | Remove] = []
        for each in self._copies(cluster, meta["name"]):
            json, hole, _ = envelope.encode_object(each)
            writes.append(Remove(BOUND_TYPES, "", each["metadata"]["name"], json, hole))
        kept = [each for each in meta["finalizers"] if each != FINALIZER]
        rest = {key: value for key, value in meta.items() if key != "finalizers"}
        new = {**binding, "metadata": {**rest, **({"finalizers": kept} if kept else {})}}
        if is_finished(BINDINGS, new):
            value = self._store.pending(cluster, BINDINGS, "", meta["name"])
            assert value is not None
            writes.append(remove_of(resource, "", meta["name"], value))
        else:
            writes.append(put_of(resource, new, ""))
        return self._store.commit(cluster, writes).group

    def _copies(self, cluster: LogicalCluster, binding: str) -> list[Object]:
        items = self._store.scan_own(cluster, BOUND_TYPES, None, _SCANNED)
        found = [orjson.loads(envelope.body(item.value)) for item in items]
        return [each for each in found if each["metadata"]["annotations"][BINDING] == binding]

    # --- reading

    async def _find(self, reference: ExportReference) -> Found:
        """Raises ServiceUnavailable while its shard is away."""
        export = await self._get(reference.path, EXPORTS, ("apiexports", VERSION), reference.name)
        if export is None:
            return Found(None, {})
        schemas = {}
        for offer in exports.offered(export):
            place = ("apiresourceschemas", OLD_VERSION)
            schemas[offer.schema] = await self._get(reference.path, SCHEMAS, place, offer.schema)
        return Found(export, schemas)

    async def _get(self, path: str, group_resource: str, place: tuple[str, str], name: str) -> Object | None:
        if self._shard.is_ours(path):
            cluster = self._store.pending_cluster(path)
            return None if cluster is None else self._pending(cluster, group_resource, name)
        plural, version = place
        found = await self._shard.ask_for(pb.GET, path, (APIS, version, plural), name, None, _ASK_S)
        if found.code == 404:
            return None
        if found.code != 200:
            raise ServiceUnavailable(f"{path} answered {found.code}")
        document: Object = orjson.loads(found.body)
        return document

    def _pending(self, cluster: LogicalCluster, group_resource: str, name: str) -> Object | None:
        value = self._store.pending(cluster, group_resource, "", name)
        return None if value is None else orjson.loads(envelope.body(value))

    def _type(self, cluster: LogicalCluster) -> Resource:
        found = self._shard.catalog.find(cluster, APIS, VERSION, "apibindings")
        assert found is not None, "always served"
        return found


def _fault(found: Found) -> str:
    """Why what an export offers cannot be bound; "" if it can."""
    assert found.export is not None
    for offer in exports.offered(found.export):
        schema = found.schemas[offer.schema]
        if schema is None:
            return f"APIResourceSchema {offer.schema} not found"
        if wrong := _schema_fault(offer, schema):
            return f"APIResourceSchema {offer.schema} is invalid: {wrong}"
    return ""


def _schema_fault(offer: Offered, schema: Mapping[str, Any]) -> str:
    spec = schema.get("spec") or {}
    if ((spec.get("names") or {}).get("plural"), spec.get("group") or "") != (offer.plural, offer.group):
        return "its names are not those of the resource"
    return "; ".join(schema_faults(schema)[:3])


def _bound(binding: Mapping[str, Any]) -> list[Object]:
    return list((binding.get("status") or {}).get("boundResources") or ())


def _copy(document: Object) -> Put:
    json, hole, annotations = envelope.encode_object(document)
    meta = document["metadata"]
    return Put(
        BOUND_TYPES, "", meta["name"], json, hole, annotations, meta["uid"], document["apiVersion"], {},
        header_fields(document),
    )  # fmt: skip

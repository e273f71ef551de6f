"""update: replace an object, or one subresource of it; and `store_update`, which patch shares.

Preconditions are checked against the pending state in the loop turn of the commit. An update that changes nothing
writes nothing and answers with the resourceVersion that was.
"""

from collections.abc import Sequence

import orjson

from kcpshard.admission import chain
from kcpshard.admission.attributes import NOTHING, UPDATE, Attributes
from kcpshard.api import loop_time
from kcpshard.api.errors import BadRequest, invalid, object_conflict, object_invalid, object_not_found
from kcpshard.api.objects import Object, are_same, metadata
from kcpshard.api.requests import Answer, Request
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.verbs import access, escalation, field_managers
from kcpshard.verbs import metadata as rules
from kcpshard.verbs.create import check_namespace, create_object
from kcpshard.verbs.decoding import decode_object
from kcpshard.verbs.field_validation import check_options, checked_fields
from kcpshard.verbs.finalization import is_finished
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.parameter_rights import check_parameters
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.signer_rights import check_signer
from kcpshard.verbs.target import Target, find_target
from kcpshard.verbs.writes import (
    author,
    commit_object,
    dry_run_body,
    object_answer,
    pending_value,
    put_of,
    recorded_answer,
    removals_of,
    unchanged_answer,
)

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
# Under which kube-apiserver keeps what is not kept under its plural.
_STORAGE_PREFIXES = {
    "endpoints": "services/endpoints", "ingresses.networking.k8s.io": "ingress", "nodes": "minions",
    "replicationcontrollers": "controllers", "services": "services/specs",
}  # fmt: skip
_STATUSES = frozenset(("status", "approval", "finalize"))  # what is written there is no new generation
_NOT_COUNTED = frozenset(("apiVersion", "kind", "metadata", "status"))


def update(shard: Shard, request: Request) -> Outcome:
    target = find_target(shard, request, "update", pending=True)
    cluster, resource, _ = target
    if request.repeat and (found := recorded_answer(shard, target, request)):
        return found
    check_options(request, "UpdateOptions")
    obj = decode_object(request.body, resource, shard.catalog, cluster)
    has_empties = resource.strategy.has_empties(obj)
    warnings = checked_fields(request, resource, obj)
    meta = metadata(obj)
    check_name(meta, request.name)
    check_namespace(meta, request.namespace)
    value = pending_value(shard, target, request)
    if value is None:
        if resource.create_on_update and not request.subresource:
            given = {key: item for key, item in meta.items() if key not in ("resourceVersion", "uid")}
            access.check_also(shard, request, cluster, "create")
            return create_object(shard, target, request, {**obj, "metadata": given}, warnings)
        raise object_not_found(resource.group, resource.plural, request.name)
    check_uid(meta, value, resource, request)
    check_version(meta, value, resource, request)
    return store_update(shard, target, request, obj, value, warnings, has_empties=has_empties)


def check_name(meta: Object, name: str) -> None:
    given = meta.get("name")
    if not given:
        raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")


def check_uid(meta: Object, value: bytes, resource: Resource, request: Request, name: str = "") -> None:
    """Raise Conflict if the client's object is of another uid than the stored `value`."""
    wanted, name = meta.get("uid"), name or request.name
    if wanted and wanted != envelope.uid(value):
        place = f"{request.namespace}/{name}" if request.namespace else name
        root = "" if request.dry_run else "/registry"  # a dry run there does not know etcd's prefix
        prefix = _STORAGE_PREFIXES.get(resource.group_resource, resource.plural)
        # These words come from etcd's client in kube-apiserver; tools match on "Precondition failed: UID".
        detail = (
            f"StorageError: invalid object, Code: 4, Key: {root}/{prefix}/{place}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: "
            f"{envelope.uid(value)}"
        )
        raise object_conflict(resource.group, resource.plural, name, detail)


def check_version(meta: Object, value: bytes, resource: Resource, request: Request) -> None:
    """The resourceVersion in the client's object: none or "0" means whatever there is, where that is allowed."""
    wanted = meta.get("resourceVersion") or "0"
    if not (wanted.isascii() and wanted.isdigit()):
        # 500 in kube-apiserver, though the fault is the client's.
        raise BadRequest(f'strconv.ParseUint: parsing "{wanted}": invalid syntax')
    if int(wanted) == 0:
        if resource.unconditional_update:
            return
        fault = invalid("metadata.resourceVersion", 0, "must be specified for an update")
        raise object_invalid(resource.group, resource.plural, request.name, [fault])
    if int(wanted) != envelope.revision(value):
        raise object_conflict(resource.group, resource.plural, request.name, MODIFIED)


def store_update(
    shard: Shard,
    target: Target,
    request: Request,
    obj: Object,
    value: bytes,
    warnings: Sequence[str],
    entries: list[Object] | None = None,
    has_empties: bool = False,
    attributes: Attributes | None = None,
) -> Answer | AfterSync:
    """Make `obj` the successor of the pending `value`. Its preconditions hold. `entries` are its managedFields where
    they are known already; `has_empties` is what its strategy says of what the client sent. `attributes` are those of
    what the client wrote in another form, which others have changed already."""
    cluster, resource, stored = target
    assert cluster is not None
    old = stored_object(shard, target, value)
    duplicates = rules.deduplicate_owners(obj["metadata"])
    new, entries = _filled(shard, target, request, obj, old, entries)
    noted = NOTHING
    if attributes is None:
        attributes = Attributes(
            UPDATE, shard.store, cluster, resource, request.subresource, request.namespace, request.name, new, old,
            request.identity, request.dry_run, [], shard.admission, request, obj["metadata"],
        )  # fmt: skip
        noted = chain.mutate(attributes)
    if not request.subresource:
        escalation.confirm(shard, target, request, new, old)
    _prepare(resource, request.subresource, new, old, entries, has_empties)
    chain.allocate(attributes)
    faults = rules.updated_faults(new["metadata"], old["metadata"], resource.metadata_rules)
    faults += resource.strategy.validate_update(new, old, request.subresource)
    if faults:
        raise object_invalid(stored.group, resource.kind, request.name, faults)
    check_signer(shard, request.cluster, attributes)
    check_parameters(shard, request.cluster, attributes)
    own = [] if request.subresource in _STATUSES else resource.strategy.warnings(new, old)
    judged = chain.validated(attributes, own)
    warnings = [*warnings, *duplicates, *noted.warnings, *own, *judged.warnings]
    if stored is not resource:
        new = shard.catalog.convert(new, stored)
    # What was stored in another version, or under another schema, is written anew: that is how objects are migrated.
    is_current = stored is resource and envelope.fingerprint(value) == stored.fingerprint
    if are_same(new, old if is_current else orjson.loads(envelope.body(value))):
        return unchanged_answer(shard, target, request, value, warnings)
    if is_finished(stored.group_resource, new):
        return _finish(shard, target, request, new, value, warnings)
    put = put_of(stored, new, request.namespace)
    if request.dry_run and not shard.staged:
        body = dry_run_body(shard, target, new, old["metadata"]["resourceVersion"])
        return object_answer(resource, request, 200, body, warnings)
    return commit_object(shard, cluster, resource, put, request, 200, warnings, attributes.companions)


def stored_object(shard: Shard, target: Target, value: bytes) -> Object:
    """The envelope's object in the version asked for. On a loop, raises TooLong for a large one."""
    loop_time.check_size(len(value))
    old: Object = orjson.loads(envelope.body(value))
    resource = target.resource
    is_current = resource.definition is None or envelope.fingerprint(value) == resource.fingerprint
    return old if target.stored is resource and is_current else shard.catalog.convert(old, resource)


def _filled(
    shard: Shard, target: Target, request: Request, obj: Object, old: Object, entries: list[Object] | None
) -> tuple[Object, list[Object]]:
    """The object with the metadata that this update may not change taken from the old one, and its managedFields."""
    new = {**obj, "metadata": rules.fill_updated(obj["metadata"], old["metadata"])}
    target.resource.strategy.default(new)
    if entries is None:
        entries = field_managers.after_update(shard, target, request, new, old, obj["metadata"].get("managedFields"))
    return new, entries


def _prepare(
    resource: Resource, subresource: str, new: Object, old: Object, entries: list[Object], has_empties: bool
) -> None:
    """Take from the old object the parts that this update may not change, once nobody changes the new one any more."""
    strategy = resource.strategy
    strategy.prepare_update(new, old, subresource)
    strategy.default(new)
    status_counts = resource.definition is not None and "status" not in resource.subresources
    not_counted = _NOT_COUNTED - {"status"} if status_counts else _NOT_COUNTED
    is_counted = subresource not in _STATUSES and strategy.has_generation()
    if is_counted and (has_empties or _has_changed(new, old, not_counted)):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    field_managers.set_entries(new, old, entries)


def _has_changed(new: Object, old: Object, not_counted: frozenset[str]) -> bool:
    """Whether anything outside metadata and status differs: that is a new generation."""
    counted = (new.keys() | old.keys()) - not_counted
    return any(not are_same(new.get(key), old.get(key)) for key in counted)


def _finish(
    shard: Shard, target: Target, request: Request, new: Object, value: bytes, warnings: Sequence[str]
) -> Answer | AfterSync:
    """The update has taken the last finalizer of an object being deleted: it goes; the answer shows it as updated."""
    cluster, resource, stored = target
    assert cluster is not None
    body = dry_run_body(shard, target, new, new["metadata"]["resourceVersion"])
    answer = object_answer(resource, request, 200, body, warnings)
    if request.dry_run and not shard.staged:
        return answer
    removals = removals_of(shard, cluster, stored, request.namespace, request.name, value)
    pending = shard.store.commit(cluster, removals, request.request_id, 200, author(request))
    return AfterSync(answer, pending.group)

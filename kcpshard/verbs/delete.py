"""delete: remove an object, or mark it for those who hold finalizers on it.

Most objects have no finalizer and no wish of their own; their deletion decodes nothing. DeleteOptions arrive as the
body; what the query said has been put there by the front.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from kcpshard.admission import chain
from kcpshard.admission.attributes import DELETE, Attributes
from kcpshard.api import loop_time
from kcpshard.api.errors import BadRequest, FieldError, invalid, not_supported, object_conflict, object_not_found
from kcpshard.api.objects import Object
from kcpshard.api.requests import Answer, Request
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.storage import envelope
from kcpshard.storage.contract import PendingCommit
from kcpshard.verbs import cluster_limits
from kcpshard.verbs.decoding import go_kind, syntax_fault
from kcpshard.verbs.field_validation import options_invalid
from kcpshard.verbs.finalization import NAMESPACE, ORPHANING, DeleteOptions, marked
from kcpshard.verbs.get import served_body
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target, find_target
from kcpshard.verbs.update import stored_object
from kcpshard.verbs.writes import (
    REMOVED,
    RETURNED,
    author,
    commit_object,
    dry_run_body,
    object_answer,
    pending_value,
    put_of,
    recorded_answer,
    removals_of,
    removed_status,
    unchanged_answer,
)

_POLICIES = ("Foreground", "Background", "Orphan")
_DEFAULT = DeleteOptions()
_TYPES: dict[str, tuple[type, str]] = {
    "gracePeriodSeconds": (int, "int64"),
    "orphanDependents": (bool, "bool"),
    "propagationPolicy": (str, "v1.DeletionPropagation"),
    "dryRun": (list, "[]string"),
    "preconditions": (dict, "v1.Preconditions"),
}


def delete(shard: Shard, request: Request) -> Outcome:
    target = find_target(shard, request, "delete", pending=True)
    resource = target.resource
    if request.repeat and (found := recorded_answer(shard, target, request)):
        return found
    options = delete_options(request)
    value = pending_value(shard, target, request)
    if value is None:
        raise object_not_found(resource.group, resource.plural, request.name)
    return delete_object(shard, target, request, request.namespace, request.name, value, options)


def delete_object(
    shard: Shard, target: Target, request: Request, namespace: str, name: str, value: bytes, options: DeleteOptions
) -> Answer | AfterSync:
    """Delete the object whose pending state is `value`; also one of a collection."""
    cluster, resource, stored = target
    assert cluster is not None
    check_preconditions(resource, name, value, options)
    if name == cluster_limits.NAME:
        cluster_limits.check_administrator(request, stored.group_resource, namespace, name)
    attributes = Attributes(
        DELETE, shard.store, cluster, resource, "", namespace, request.name, None, None, request.identity,
        options.dry_run, registry=shard.admission, request=request,
    )  # fmt: skip
    if chain.must_know_old(attributes):
        attributes = attributes._replace(old=stored_object(shard, target, value))
    warnings = [*chain.mutate(attributes).warnings, *chain.validate(attributes).warnings]
    new = None if _is_plain(stored, value, options) else _marked(shard, stored, value, options)
    if new is None:
        return _remove(shard, target, request, namespace, name, value, options, warnings)
    if new == orjson.loads(envelope.body(value)):
        return unchanged_answer(shard, target, request, value, warnings)
    if options.dry_run and not shard.staged:
        body = dry_run_body(shard, target, new, new["metadata"]["resourceVersion"])
        return object_answer(resource, request, 200, body, warnings)
    return commit_object(shard, cluster, resource, put_of(stored, new, namespace), request, 200, warnings)


def _is_plain(stored: Resource, value: bytes, options: DeleteOptions) -> bool:
    """Whether nothing speaks against removal, told without decoding: the words are not even in it."""
    if options.policy in ("Orphan", "Foreground") or stored.group_resource in (NAMESPACE, CRDS):
        return False
    if b'"finalizers"' in value or b'"deletionTimestamp"' in value:
        return False
    return stored.group_resource != "pods" and stored.group_resource not in ORPHANING


def _marked(shard: Shard, stored: Resource, value: bytes, options: DeleteOptions) -> Object | None:
    loop_time.check_size(len(value))
    obj: Object = orjson.loads(envelope.body(value))
    grace_period_s = stored.strategy.graceful(obj, options.grace_period_s)
    return marked(stored.group_resource, obj, options, grace_period_s, shard.now_us())


def _remove(
    shard: Shard,
    target: Target,
    request: Request,
    namespace: str,
    name: str,
    value: bytes,
    options: DeleteOptions,
    warnings: Sequence[str],
) -> Answer | AfterSync:
    cluster, resource, stored = target
    assert cluster is not None
    if stored.group_resource in RETURNED:
        answer = object_answer(resource, request, 200, served_body(shard, resource, value), warnings)
    else:
        said = [resource.deprecation, *warnings] if resource.deprecation else warnings
        answer = Answer(200, removed_status(resource, name, envelope.uid(value)), None, said)
    if options.dry_run and not shard.staged:
        return answer
    removals = removals_of(shard, cluster, stored, namespace, name, value)
    pending: PendingCommit = shard.store.commit(cluster, removals, request.request_id, REMOVED, author(request))
    return AfterSync(answer, pending.group)


def check_preconditions(resource: Resource, name: str, value: bytes, options: DeleteOptions) -> None:
    if options.uid is None and options.resource_version is None:
        return
    uid, version = envelope.uid(value), str(envelope.revision(value))
    if options.uid is not None and options.uid != uid:
        detail = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated"
        )
        if resource.group_resource == NAMESPACE:
            detail = f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {uid}"
        raise _precondition_failed(resource, name, detail)
    wanted = options.resource_version
    if wanted is not None and wanted != version:
        detail = (
            f"the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record "
            f"({version}). The object might have been modified"
        )
        if resource.group_resource == NAMESPACE:
            detail = (
                f"Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: "
                f"{version}"
            )
        raise _precondition_failed(resource, name, detail)


def _precondition_failed(resource: Resource, name: str, detail: str) -> Exception:
    # The generic delete of kube-apiserver names the kind here, that of namespaces the resource.
    word = resource.plural if resource.group_resource == NAMESPACE else resource.kind
    return object_conflict(resource.group, word, name, detail)


# --- DeleteOptions


def delete_options(request: Request) -> DeleteOptions:
    """Raises BadRequest for what cannot be read, Invalid for what contradicts itself."""
    body = request.body
    if not body:
        return DeleteOptions(dry_run=True) if request.dry_run else _DEFAULT
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest(f"couldn't get version/kind; json parse error: {syntax_fault(body)}") from None
    return read_options({} if given is None else given, request)


def read_options(given: Any, request: Request) -> DeleteOptions:
    """As `delete_options`, of decoded ones."""
    _check_types(given)
    policy, orphan = given.get("propagationPolicy"), given.get("orphanDependents")
    dry_run = given.get("dryRun") or []
    _check_values(policy, orphan, dry_run)
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    preconditions = given.get("preconditions") or {}
    return DeleteOptions(
        policy or "",
        given.get("gracePeriodSeconds"),
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
        bool(dry_run) or request.dry_run,
    )


def _check_types(given: Any) -> None:
    if not isinstance(given, dict):
        type_meta = (
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        fault = f"json: cannot unmarshal {go_kind(given)} into Go value of type {type_meta}"
        raise BadRequest(f"couldn't get version/kind; json parse error: {fault}")
    kind = given.get("kind") or "DeleteOptions"
    if kind != "DeleteOptions":
        version = given.get("apiVersion") or "v1"
        text = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        raise BadRequest(text)
    for member, (wanted, go_type) in _TYPES.items():
        _check_member(given, "DeleteOptions", member, member, wanted, go_type)
    preconditions = given.get("preconditions") or {}
    for member, go_type in (("uid", "types.UID"), ("resourceVersion", "string")):
        _check_member(preconditions, "Preconditions", f"preconditions.{member}", member, str, go_type)


def _check_member(given: Object, struct: str, path: str, member: str, wanted: type, go_type: str) -> None:
    value = given.get(member)
    if value is None or (isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))):
        return
    text = f"json: cannot unmarshal {go_kind(value)} into Go struct field {struct}.{path} of type {go_type}"
    raise BadRequest(text)


def _check_values(policy: str | None, orphan: bool | None, dry_run: list[Any]) -> None:
    faults: list[FieldError] = []
    if policy is not None and orphan is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        faults.append(invalid("propagationPolicy", policy, text))
    if policy is not None and policy not in _POLICIES:
        listed = ", ".join(f'"{p}"' for p in (*_POLICIES, "nil"))
        text = f'Unsupported value: "{policy}": supported values: {listed}'
        faults.append(FieldError("propagationPolicy", "FieldValueNotSupported", text))
    if dry_run and dry_run != ["All"]:
        faults.append(not_supported("dryRun", dry_run, ["All"]))
    if faults:
        raise options_invalid("DeleteOptions", faults)

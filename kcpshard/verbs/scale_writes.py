"""update and patch of the subresource `scale`: of an object only its replicas are written.

What the client sends is a Scale, so names, fields and managers are judged of that, and admission is asked about it; the
rest of the write is an update of the object itself, with its validation.
"""

from collections.abc import Sequence
from typing import NamedTuple

from kcpshard.admission.attributes import UPDATE
from kcpshard.api.errors import (
    ApiError,
    BadRequest,
    invalid,
    object_conflict,
    object_invalid,
    object_not_found,
)
from kcpshard.api.objects import Object, metadata
from kcpshard.api.requests import Answer, Request
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.verbs import field_managers, managed_fields, scale_fields
from kcpshard.verbs.apply import check_manager, merged
from kcpshard.verbs.create import check_namespace
from kcpshard.verbs.decoding import decode_object
from kcpshard.verbs.field_validation import check_options, checked_fields
from kcpshard.verbs.managed_fields import Managers
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.patch import APPLY, check_not_forced, check_type, patched
from kcpshard.verbs.scale import answered, lacks_replicas, paths_of, scale_resource, shown, written
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.subresource_admission import Written
from kcpshard.verbs.target import Target, find_target
from kcpshard.verbs.update import MODIFIED, check_name, check_uid, store_update, stored_object
from kcpshard.verbs.writes import pending_value, recorded_answer


class _Stored(NamedTuple):
    """The object as it is, its Scale (with managedFields), and its managers."""

    value: bytes
    obj: Object
    scale: Object
    managers: Managers


def update_scale(shard: Shard, request: Request) -> Outcome:
    target = find_target(shard, request, "update", pending=True)
    if found := recorded_answer(shard, target, request):
        return answered(target.resource, found)
    check_options(request, "UpdateOptions")
    scale = decode_object(request.body, scale_resource(), shard.catalog, target.cluster)
    warnings = checked_fields(request, scale_resource(), scale)
    check_name(metadata(scale), request.name)
    check_namespace(metadata(scale), request.namespace)
    try:
        stored = _stored(shard, target, request)
        managers = _updated(shard, target, request, stored, scale)
        return _store(shard, target, request, stored, scale, managers, warnings)
    except ApiError as error:
        error.warnings = [*warnings, *error.warnings]
        raise


def patch_scale(shard: Shard, request: Request) -> Outcome:
    target = find_target(shard, request, "patch", pending=True)
    if found := recorded_answer(shard, target, request):
        return answered(target.resource, found)
    check_options(request, "PatchOptions")
    check_type(request, target.resource)
    if request.patch_type == APPLY:
        return _apply(shard, target, request)
    check_not_forced(request)
    stored = _stored(shard, target, request)
    scale, warnings, _ = patched(shard, _as_scale(target), request, lambda: _without_entries(stored.scale))
    _check_given(target.resource, stored, scale)
    check_name(metadata(scale), request.name)
    check_namespace(metadata(scale), request.namespace)
    return _store(shard, target, request, stored, scale, _updated(shard, target, request, stored, scale), warnings)


def _apply(shard: Shard, target: Target, request: Request) -> Outcome:
    check_manager(request)
    stored = _stored(shard, target, request)
    applied, warnings, _ = merged(shard, _as_scale(target), request, stored.scale)
    _check_given(target.resource, stored, applied.obj)
    check_name(metadata(applied.obj), request.name)
    check_namespace(metadata(applied.obj), request.namespace)
    return _store(shard, target, request, stored, applied.obj, applied.managers, warnings)


def _check_given(resource: Resource, stored: _Stored, scale: Object) -> None:
    """Nobody has said so far how many there shall be: now somebody has to."""
    if lacks_replicas(resource, stored.obj) and (scale.get("spec") or {}).get("replicas") is None:
        raise BadRequest(f'the spec replicas field "{paths_of(resource)["specReplicasPath"]}" cannot be empty')


def _as_scale(target: Target) -> Target:
    return Target(target.cluster, scale_resource(), scale_resource())


def _without_entries(scale: Object) -> Object:
    """A copy, down to what a patch may change."""
    found = managed_fields.without_entries(scale)
    return {**found, "metadata": dict(found["metadata"]), "spec": dict(found["spec"]), "status": dict(found["status"])}


def _stored(shard: Shard, target: Target, request: Request) -> _Stored:
    resource = target.resource
    value = pending_value(shard, target, request)
    if value is None:
        raise object_not_found(resource.group, resource.plural, request.name)
    obj = stored_object(shard, target, value)
    managers = managed_fields.decode(obj["metadata"].get("managedFields"))
    scale = shown(resource, obj)
    entries = managed_fields.encode(scale_fields.to_scale(managers, scale_fields.replicas_of(resource)))
    if entries:
        scale["metadata"]["managedFields"] = entries
    return _Stored(value, obj, scale, managers)


def _updated(shard: Shard, target: Target, request: Request, stored: _Stored, scale: Object) -> Managers:
    scale["metadata"].pop("managedFields", None)
    return managed_fields.decode(
        field_managers.after_update(shard, _as_scale(target), request, scale, stored.scale, None)
    )


def _store(
    shard: Shard,
    target: Target,
    request: Request,
    stored: _Stored,
    scale: Object,
    managers: Managers,
    warnings: Sequence[str],
) -> Answer | AfterSync:
    with Written(shard, target, request, scale, scale_resource(), operation=UPDATE, old=stored.scale) as as_written:
        warnings = [*warnings, *as_written.mutate()]
        return _judged(shard, target, request, stored, as_written, managers, warnings)


def _judged(
    shard: Shard,
    target: Target,
    request: Request,
    stored: _Stored,
    as_written: Written,
    managers: Managers,
    warnings: Sequence[str],
) -> Answer | AfterSync:
    scale = as_written.attributes.object
    assert scale is not None
    check_name(metadata(scale), request.name)
    resource, value, meta = target.resource, stored.value, metadata(scale)
    check_uid(meta, value, resource, request)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0 and resource.definition is None:
        fault = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise object_invalid("autoscaling", "Scale", request.name, [fault])
    version = meta.get("resourceVersion")
    if version and version != str(envelope.revision(value)):
        raise object_conflict(resource.group, resource.plural, request.name, MODIFIED)
    replicas_at = scale_fields.replicas_of(resource)
    entries = scale_fields.to_object(stored.managers, managers, replicas_at, resource.api_version)
    obj = written(resource, scale, stored.obj)
    attributes = as_written.attributes._replace(object=shown(resource, obj))
    return answered(
        resource, store_update(shard, target, request, obj, value, warnings, entries, attributes=attributes)
    )

"""apply: server-side apply, the patch that says what its manager wants and leaves the rest alone.

Creates what is not there. Also what `kubectl apply --server-side` needs over objects of client-side apply: its
annotation decides which conflicts are its own past, and is kept up to date. Decides in kube-apiserver's order.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import orjson

from kcpshard.api import loop_time
from kcpshard.api.errors import BadRequest, object_not_found, required
from kcpshard.api.field_sets import FieldSet, difference
from kcpshard.api.objects import Object, metadata, timestamp
from kcpshard.api.requests import Request
from kcpshard.api.structured_merge import compare, fields_of
from kcpshard.api.typed_values import typed_fault, typed_faults
from kcpshard.definitions.contract import Resource
from kcpshard.verbs import access, duplicate_fields, field_managers, managed_fields
from kcpshard.verbs.create import check_namespace, create_object
from kcpshard.verbs.decoding import go_kind, syntax_fault
from kcpshard.verbs.field_validation import FieldFault, checked_fields, options_invalid
from kcpshard.verbs.managed_fields import APPLY, FIRST, Applied, FieldConflicts, Manager, View
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target
from kcpshard.verbs.update import check_name, check_version, store_update, stored_object
from kcpshard.verbs.writes import pending_value

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"  # the one manager that takes over from client-side apply
_MAX_ANNOTATION_BYTES = 256 * 1024


def apply(shard: Shard, target: Target, request: Request) -> Outcome:
    """Target and options are checked, but for the manager's name."""
    resource = target.resource
    check_manager(request)
    value = pending_value(shard, target, request)
    if value is None and request.subresource:
        raise object_not_found(resource.group, resource.plural, request.name)
    # A copy: what nobody applies stays in the new object, where defaults and admission change it.
    live = stored_object(shard, target, value) if value is not None else deepcopy(field_managers.unborn(resource))
    applied, warnings, has_empties = merged(shard, target, request, live)
    obj, entries = applied.obj, managed_fields.encode(applied.managers)
    meta = metadata(obj)
    if value is None:
        check_name(meta, request.name)
        check_namespace(meta, request.namespace)
        meta.pop("resourceVersion", None)
        access.check_also(shard, request, target.cluster, "create")
        return create_object(shard, target, request, obj, warnings, entries)
    check_name(meta, request.name)
    check_namespace(meta, request.namespace)
    check_version(meta, value, resource, request)
    return store_update(shard, target, request, obj, value, warnings, entries, has_empties)


def check_manager(request: Request) -> None:
    if not request.field_manager:
        raise options_invalid("PatchOptions", [required("fieldManager", "is required for apply patch")])


def merged(shard: Shard, target: Target, request: Request, live: Object) -> tuple[Applied, Sequence[str], bool]:
    """The configuration in the body merged into `live`, in the kind's form and without managedFields; warnings; and
    what its strategy says of empty members in the configuration."""
    config = _decoded(request)
    has_empties = target.resource.strategy.has_empties(config)
    applied = _applied(shard, target, request, config, live)
    warnings = _duplicates(request)
    obj = dict(live) if applied.obj is live else applied.obj
    # What was merged is written in the kind's form, as any other body is.
    _read(request, target.resource, obj)
    obj["metadata"] = dict(metadata(obj))
    obj["metadata"].pop("managedFields", None)
    return applied._replace(obj=obj), warnings, has_empties


def _read(request: Request, resource: Resource, obj: Object) -> None:
    try:
        checked_fields(request, resource, obj)
    except FieldFault as found:
        shown = f"{resource.group}/{resource.version}, Kind={resource.kind}"
        text = f"unable to convert unstructured object to {shown}: {found.fault}"
        where = _place(metadata(obj))
        raise BadRequest(f"failed to convert new object ({where}; {shown}) to proper version: {text}") from None


def _place(meta: Object) -> str:
    return f"{meta.get('namespace') or ''}/{meta.get('name') or ''}"


def _decoded(request: Request) -> Object:
    """The configuration; YAML is JSON by now."""
    loop_time.check_size(2 * len(request.body))  # comparing with what others own takes as long again
    try:
        config = orjson.loads(request.body or b"null")
    except orjson.JSONDecodeError:
        raise BadRequest(f"error decoding YAML: {syntax_fault(request.body)}") from None
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise BadRequest(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
            f"{go_kind(config)} into Go value of type map[string]interface {{}}"
        )
    return config


def _duplicates(request: Request) -> Sequence[str]:
    if not request.duplicate_fields or request.field_validation == "Ignore":
        return ()
    texts = duplicate_fields.texts(request.duplicate_fields, ())
    if request.field_validation == "Strict":
        fault = duplicate_fields.yaml_fault(request.duplicate_fields)
        raise BadRequest(f"error strict decoding YAML: error converting YAML to JSON: {fault}")
    return texts


def _applied(shard: Shard, target: Target, request: Request, config: Object, live: Object) -> Applied:
    resource = target.resource
    view = field_managers.view_of(shard, target, request.subresource)
    _check_form(resource, config, view)
    manager = field_managers.manager_of(request, resource, APPLY)
    now = timestamp(shard.now_us())
    managers = managed_fields.decode(live["metadata"].get("managedFields"))
    live = managed_fields.without_entries(live)
    if not managers:
        first = Manager(FIRST, managed_fields.UPDATE, resource.api_version, request.subresource)
        managers = managed_fields.after_update(field_managers.unborn(resource), live, {}, first, view, now)
    try:
        applied = managed_fields.apply(live, config, managers, manager, view, request.force, now)
    except FieldConflicts as found:
        if request.field_manager != _KUBECTL:
            raise managed_fields.conflict(found.conflicts) from None
        _check_own_past(found.conflicts, live, view)
        applied = managed_fields.apply(live, config, managers, manager, view, True, now)
    if request.field_manager == _KUBECTL:
        applied = applied._replace(obj=_with_last_applied(applied.obj, config))
    return applied


def _check_form(resource: Resource, config: Object, view: View) -> None:
    """Raise unless the configuration is one of this kind: type, no managedFields, typed as its schema says."""
    api_version, kind = config.get("apiVersion", ""), config.get("kind", "")
    if (api_version, kind) != (resource.api_version, resource.kind):
        group, _, version = str(api_version).rpartition("/")
        raise BadRequest(f"invalid object type: {group}/{version}, Kind={kind}")
    meta = config.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    if meta.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    faults = typed_faults(config, view.schema)
    if faults:
        shown = f"{_place(meta)}; {resource.group}/{resource.version}, Kind={resource.kind}"
        # kube-apiserver does not say whose fault this is and answers 500; so in `_read`. It is the client's.
        raise BadRequest(f"failed to create typed patch object ({shown}): {typed_fault(faults)}")


# --- over client-side apply


def _check_own_past(conflicts: Mapping[Manager, FieldSet], live: Object, view: View) -> None:
    """Raise the conflict unless all of it is what client-side apply set and nobody has changed since."""
    allowed = _last_applied_fields(live, view)
    left = {manager: rest for manager, fields in conflicts.items() if (rest := difference(fields, allowed))}
    if left:
        raise managed_fields.conflict(left)


def _last_applied_fields(live: Object, view: View) -> FieldSet:
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        last: Any = orjson.loads(text or "null")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(last, dict) or last.get("apiVersion") != view.api_version or typed_faults(last, view.schema):
        return {}
    changed, removed = compare(last, live, view.schema)
    return difference(difference(fields_of(last, view.schema), changed), removed)


def _with_last_applied(obj: Object, config: Object) -> Object:
    """The annotation of client-side apply, if the object has it, says what was applied now."""
    annotations = obj["metadata"].get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return obj
    meta = dict(config.get("metadata") or {})
    if LAST_APPLIED in (meta.get("annotations") or {}):
        meta["annotations"] = {k: v for k, v in meta["annotations"].items() if k != LAST_APPLIED}
    text = orjson.dumps({**config, "metadata": meta}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    kept = {**annotations, LAST_APPLIED: text}
    if sum(len(k.encode()) + len(v.encode()) for k, v in kept.items()) > _MAX_ANNOTATION_BYTES:
        del kept[LAST_APPLIED]
    return {**obj, "metadata": {**obj["metadata"], "annotations": kept}}

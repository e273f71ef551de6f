"""patch: change an object by JSON patch, merge patch or strategic merge patch.

The patch is applied to the newest accepted state in the loop turn of the commit, so nothing can come between: where
kube-apiserver retries up to five times, here the first try is the last. (When mutating webhooks make a patch wait, the
retry belongs here.) Server-side apply is `verbs.apply`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from kcpshard.api import loop_time, patches
from kcpshard.api.errors import (
    ApiError,
    BadRequest,
    Cause,
    Invalid,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    forbidden,
    object_not_found,
)
from kcpshard.api.objects import Object, go_text, metadata
from kcpshard.api.patches import PatchFault
from kcpshard.api.requests import Request
from kcpshard.api.strategic_merge import strategic_merge
from kcpshard.definitions.contract import Resource
from kcpshard.verbs.apply import apply
from kcpshard.verbs.create import check_namespace
from kcpshard.verbs.decoding import go_kind, syntax_fault, type_fault
from kcpshard.verbs.field_validation import FieldFault, check_options, checked_fields, options_invalid
from kcpshard.verbs.metadata import ordered
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target, find_target
from kcpshard.verbs.update import check_name, check_version, store_update, stored_object
from kcpshard.verbs.writes import pending_value, recorded_answer

JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY = 1, 2, 3, 4


def patch(shard: Shard, request: Request) -> Outcome:
    target = find_target(shard, request, "patch", pending=True)
    resource = target.resource
    if request.repeat and (found := recorded_answer(shard, target, request)):
        return found
    check_type(request, resource)
    check_options(request, "PatchOptions")
    if request.patch_type == APPLY:
        return apply(shard, target, request)
    check_not_forced(request)
    value = pending_value(shard, target, request)
    if value is None:
        raise object_not_found(resource.group, resource.plural, request.name)
    obj, warnings, has_empties = patched(shard, target, request, lambda: stored_object(shard, target, value))
    meta = metadata(obj)
    check_name(meta, request.name)
    if request.namespace and not meta.get("namespace"):
        meta["namespace"] = request.namespace
    check_namespace(meta, request.namespace)
    check_version(meta, value, resource, request)
    return store_update(shard, target, request, obj, value, warnings, has_empties=has_empties)


def check_not_forced(request: Request) -> None:
    if request.force:
        raise options_invalid("PatchOptions", [forbidden("force", "may not be specified for non-apply patch")])


def check_type(request: Request, resource: Resource) -> None:
    """Custom types have no strategic merge, nor their Scales."""
    if request.patch_type in (JSON_PATCH, MERGE_PATCH, APPLY):
        return
    if request.patch_type == STRATEGIC_MERGE_PATCH and resource.fingerprint == 0:
        return
    raise UnsupportedMediaType("415: Unsupported Media Type")


class Patched(NamedTuple):
    """In the version asked for, without unknown fields."""

    obj: Object
    warnings: Sequence[str]
    has_empties: bool  # of the object as the patch has left it, in the words of its strategy


def patched(shard: Shard, target: Target, request: Request, old: Callable[[], Object]) -> Patched:
    """`old` makes what changes."""
    obj = _applied(request, target.resource, old())
    try:
        _check_kind(shard, target, obj)
        entries = _untouched_entries(request.body, obj)
        has_empties = target.resource.strategy.has_empties(obj)
        warnings = checked_fields(request, target.resource, obj)
        if entries is not None:
            obj["metadata"]["managedFields"] = entries
        return Patched(obj, warnings, has_empties)
    except FieldFault as found:
        # Reading changes the object as it goes, so what the client is shown is made again.
        again = _applied(request, target.resource, old())
        is_strategic = request.patch_type == STRATEGIC_MERGE_PATCH
        if is_strategic:
            raise _cannot_apply(go_text(orjson.loads(request.body)), _converter_fault(found)) from None
        raise _cannot_apply(_shown(again), found.fault) from None


def _untouched_entries(body: bytes, obj: Object) -> Any:
    """managedFields taken out of `obj`, if the patch cannot have changed them: stored ones need no checking."""
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or b"managedFields" in body or b"\\u" in body:
        return None
    return meta.pop("managedFields", None)


def _applied(request: Request, resource: Resource, old: Object) -> Object:
    """`old` with the patch applied; made of its parts."""
    if request.patch_type == STRATEGIC_MERGE_PATCH:
        return strategic_merge(old, _decoded(request.body, ""), resource.schema)
    if request.patch_type == JSON_PATCH:
        return _json_patched(request, old)
    return _merged(request, old)


def _merged(request: Request, old: Object) -> Object:
    given = _decoded(request.body, "error decoding patch: ")
    merged: Object = patches.merge_patch(old, given)
    return merged


def _json_patched(request: Request, old: Object) -> Object:
    steps = _steps(request.body)
    if len(steps) > patches.MAX_OPERATIONS:
        raise RequestEntityTooLarge(
            f"Request entity too large: The allowed maximum operations in a JSON patch is {patches.MAX_OPERATIONS}, "
            f"got {len(steps)}"
        )
    try:
        obj = patches.apply_json_patch(old, patches.parse_json_patch(steps))
    except PatchFault:
        raise _Rejected() from None
    if not isinstance(obj, dict) or patches.is_too_deep(obj):
        raise _Rejected()
    return obj


class _Rejected(Invalid):
    """A JSON patch that does not apply. kube-apiserver says no more than this."""

    def __init__(self) -> None:
        super().__init__("the server rejected our request due to an error in our request")


def _decoded(body: bytes, prefix: str) -> Object:
    """The patch as an object; `prefix` is what kube-apiserver puts before a fault of this kind of patch."""
    loop_time.check_size(len(body))
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest(prefix + syntax_fault(body)) from None
    if given is None and prefix:
        raise BadRequest("Invalid JSON Patch")
    if given is None:
        return {}
    if not isinstance(given, dict):
        fault = f"json: cannot unmarshal {go_kind(given)} into Go value of type map[string]interface {{}}"
        raise BadRequest(prefix + fault)
    return given


def _steps(body: bytes) -> list[dict[str, Any]]:
    # Ten operations cost about as much as a kB, and a copy may cost the whole object.
    loop_time.check_size(len(body) + body.count(b'"copy"') * 4096)
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("error decoding patch: " + syntax_fault(body)) from None
    if given is None:
        return []
    fault = "error decoding patch: json: cannot unmarshal {} into Go {} of type {}"
    if not isinstance(given, list):
        raise BadRequest(fault.format(go_kind(given), "value", "[]handlers.jsonPatchOp"))
    for step in given:
        if step is not None and not isinstance(step, dict):
            raise BadRequest(fault.format(go_kind(step), "value", "handlers.jsonPatchOp"))
        for member in ("op", "from", "path"):
            found = (step or {}).get(member)
            if found is not None and not isinstance(found, str):
                raise BadRequest(fault.format(go_kind(found), f"struct field jsonPatchOp.{member}", "string"))
    return [step or {} for step in given]


def _check_kind(shard: Shard, target: Target, obj: Object) -> None:
    """A patch may drop apiVersion and kind, but not change them."""
    resource = target.resource
    api_version = obj.get("apiVersion") or resource.api_version
    kind = obj.get("kind") or resource.kind
    if (api_version, kind) != (resource.api_version, resource.kind):
        text = type_fault(str(api_version), str(kind), resource, shard.catalog, target.cluster)
        raise FieldFault(resource, text.partition("cannot be handled as a ")[2].partition(": ")[2] or text)
    obj["apiVersion"], obj["kind"] = api_version, kind


def _shown(obj: Object) -> str:
    """The patched document as kube-apiserver quotes it: members sorted, but those of metadata in Go's order."""
    shown = []
    for key in sorted(obj):
        value = ordered(obj[key]) if key == "metadata" and isinstance(obj[key], dict) else obj[key]
        option = 0 if key == "metadata" else orjson.OPT_SORT_KEYS
        shown.append(orjson.dumps(key) + b":" + orjson.dumps(value, option=option))
    return "{" + b",".join(shown).decode() + "}"


_GO_WORDS = {"number": "int64", "array": "slice", "object": "map"}


def _converter_fault(found: FieldFault) -> str:
    """The fault in the words of the converter that kube-apiserver runs after a strategic merge, not of a decoder."""
    wrong = found.wrong
    if wrong is None or not wrong.go_type:
        return found.fault
    value = _GO_WORDS.get(wrong.shown, wrong.shown)
    if wrong.go_type.startswith("map["):
        return f"cannot restore map from {value}"
    if wrong.go_type.startswith("[]"):
        return f"cannot restore slice from {value}"
    if "." in wrong.go_type:
        return f"cannot restore struct from: {value}"
    return f"cannot convert {value} to {wrong.go_type}" if value not in ("slice", "map") else found.fault


def _cannot_apply(shown: str, fault: str) -> ApiError:
    quoted = orjson.dumps(shown).decode()
    detail = f"Invalid value: {quoted}: {fault}"
    return Invalid(f' "" is invalid: patch: {detail}', causes=(Cause("FieldValueInvalid", detail, "patch"),))

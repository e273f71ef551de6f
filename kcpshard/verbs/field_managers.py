"""managedFields of a write: who its manager is, what of the kind can be owned, and the entries after it.

The entries are made of the object as the client meant it, defaults filled in, before the kind's strategy resets
anything: what an endpoint resets is named in `_RESET` and owned by nobody.
"""

from functools import cache, lru_cache
from typing import Any

from kcpshard.api.field_sets import FieldSet
from kcpshard.api.objects import Object, are_same, timestamp
from kcpshard.api.requests import Request
from kcpshard.api.structured_merge import FieldSchema
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.facts import Schema
from kcpshard.definitions.fields import check_fields
from kcpshard.definitions.kind_form import field_schema
from kcpshard.verbs import managed_fields
from kcpshard.verbs.managed_fields import UPDATE, Manager, Managers, View
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target

_MAX_NAME_BYTES = 128
_STATUS: FieldSet = {"f:status": {}}
_SPEC: FieldSet = {"f:spec": {}}
_NOTHING: FieldSet = {}
_REQUESTS = "certificatesigningrequests.certificates.k8s.io"

_ALL_BUT_STATUS: FieldSet = {"f:spec": {}, "f:metadata": {}}

# (group resource, subresource) → what its endpoint resets, where that is not "status here, spec there".
_RESET: dict[tuple[str, str], FieldSet] = {
    ("deployments.apps", "status"): {"f:spec": {}, "f:metadata": {"f:labels": {}}},
    **{
        (name, "status"): _ALL_BUT_STATUS for name in (
            "apiservices.apiregistration.k8s.io", "servicecidrs.networking.k8s.io", "volumeattachments.storage.k8s.io",
            "validatingadmissionpolicies.admissionregistration.k8s.io", "resourceclaims.resource.k8s.io",
            "flowschemas.flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        )
    },
    ("namespaces", "finalize"): _STATUS,
    (_REQUESTS, ""): {**_SPEC, **_STATUS},
    (_REQUESTS, "status"): {**_SPEC, "f:status": {"f:conditions": {}}},
    (_REQUESTS, "approval"): {**_SPEC, "f:status": {"f:certificate": {}}},
}  # fmt: skip


def manager_of(request: Request, resource: Resource, operation: str = UPDATE) -> Manager:
    name = request.field_manager or _product(request.user_agent)
    return Manager(name, operation, resource.api_version if operation == UPDATE else "", request.subresource)


@lru_cache(maxsize=1024)
def _product(user_agent: str) -> str:
    """The manager of a write that names none: the user agent's product as far as it can be printed."""
    name = ""
    for char in user_agent.partition("/")[0]:
        if char.isprintable():
            if len(name.encode()) + len(char.encode()) > _MAX_NAME_BYTES:
                break
            name += char
    return name or "unknown"


def view_of(shard: Shard, target: Target, subresource: str) -> View:
    cluster, resource, _ = target

    def at_version(obj: Object, api_version: str) -> tuple[Object, FieldSchema | None] | None:
        group, _, version = api_version.rpartition("/")
        found = shard.catalog.find(cluster, group, version, resource.plural)
        if found is None:
            return None
        if found.definition is not None:
            # Not by the catalog: it would fill in the defaults that an apply has just taken away.
            return {**obj, "apiVersion": api_version}, field_schema(found)
        return shard.catalog.convert(obj, found), field_schema(found)

    ignored = _reset_fields(resource, subresource)
    # The main endpoint of a custom kind upstream knows what it resets in its own version only.
    elsewhere = ignored if resource.definition is None or subresource else _NOTHING
    is_custom = resource.definition is not None
    return View(resource.api_version, field_schema(resource), ignored, at_version, elsewhere, is_custom)


def _reset_fields(resource: Resource, subresource: str) -> FieldSet:
    special = _RESET.get((resource.group_resource, subresource))
    if special is not None:
        return special
    if not subresource:
        return _STATUS if "status" in resource.subresources else _NOTHING
    if subresource == "status" and resource.definition is not None:
        members = (resource.schema.properties or {}) if resource.schema is not None else {}
        return _ALL_BUT_STATUS | {f"f:{name}": {} for name in members if name != "status"}
    return _SPEC if subresource == "status" else _NOTHING


def unborn(resource: Resource) -> Object:
    """What kube-apiserver compares a new object with: one of its kind with every field at Go's zero value. To be read
    only: what is in it is shared by all."""
    zero = _zero(resource.schema) if isinstance(resource.schema, Schema) else {}
    return {**zero, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {}}


@cache
def _zero(schema: Schema) -> Object:
    zero: Object = {}
    check_fields(schema, zero)
    return zero


def after_create(shard: Shard, target: Target, request: Request, obj: Object, given: Any) -> list[Object]:
    """The entries of a new object; `given` are those that came with it."""
    manager = manager_of(request, target.resource)
    managers = managed_fields.decode(given) if given else {}
    old = unborn(target.resource)
    found = managed_fields.after_update(
        old, obj, managers, manager, view_of(shard, target, ""), timestamp(shard.now_us())
    )
    return managed_fields.encode(found)


def of_form(shard: Shard, request: Request, form: Resource, obj: Object) -> list[Object]:
    """The entries of what is created and never stored: bindings, reviews, requests for tokens."""
    view = View(form.api_version, field_schema(form), _NOTHING, lambda _obj, _version: None, _NOTHING)
    zero = {**_zero(form.schema)} if isinstance(form.schema, Schema) else {}
    old = {**zero, "apiVersion": form.api_version, "kind": form.kind, "metadata": {}}
    now = timestamp(shard.now_us())
    return managed_fields.encode(managed_fields.after_update(old, obj, {}, manager_of(request, form), view, now))


def after_update(shard: Shard, target: Target, request: Request, new: Object, old: Object, given: Any) -> list[Object]:
    """The entries of `new`, which has none itself, after an update of `old`."""
    kept = old["metadata"].get("managedFields")
    managers: Managers = {}
    if request.subresource or not managed_fields.is_reset(given):
        if given and not request.subresource:
            managers = managed_fields.decode(given)
        managers = managers or managed_fields.decode(kept)
    if not managers:
        return []  # an object that nobody manages stays so until it is applied
    manager = manager_of(request, target.resource)
    view = view_of(shard, target, request.subresource)
    before = managed_fields.without_entries(old)
    found = managed_fields.after_update(before, new, managers, manager, view, timestamp(shard.now_us()))
    return managed_fields.encode(found)


def set_entries(new: Object, old: Object, entries: list[Object]) -> None:
    """Give `new`, complete but for managedFields, its entries: the old ones if nothing but times would change."""
    kept = old["metadata"].get("managedFields")
    if kept and managed_fields.same_but_times(kept, entries) and are_same(managed_fields.without_entries(old), new):
        entries = kept
    if entries:
        new["metadata"]["managedFields"] = entries

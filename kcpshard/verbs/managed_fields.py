"""Who set which field: `metadata.managedFields`, kept on every write, and the merge of server-side apply.

Decides entries, conflicts and merged objects from plain values; the verbs decide when. Objects are unstructured;
`schema` is the resource's (None: maps granular, lists atomic). Source: KEP-555.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.api.errors import Cause, Conflict
from kcpshard.api.field_sets import (
    FieldSet,
    difference,
    format_path,
    insert,
    intersection,
    paths,
    union,
    with_named_fields,
)
from kcpshard.api.structured_merge import FieldSchema, compare, fields_of, merge, remove

Object = dict[str, Any]
MAX_UPDATE_MANAGERS = 10  # more are merged into one entry, oldest first
ANCIENT, FIRST = "ancient-changes", "before-first-apply"
APPLY, UPDATE = "Apply", "Update"

# Nobody owns these: they are the object's identity or the server's.
_UNOWNED: FieldSet = {}
for _path in (
    ("f:apiVersion",),
    ("f:kind",),
    *(("f:metadata", f"f:{name}") for name in (
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
        "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds",
    )),
):  # fmt: skip
    insert(_UNOWNED, _path)
_UNOWNED["f:metadata"] = {".": {}, **_UNOWNED["f:metadata"]}


class Manager(NamedTuple):
    """Who writes, how, and through which endpoint. One entry of managedFields each."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


class Managed(NamedTuple):
    fields: FieldSet
    time: str  # RFC 3339, whole seconds


Managers = dict[Manager, Managed]


def decode(entries: Sequence[Mapping[str, Any]] | None) -> Managers:
    """The entries of an object; malformed ones are dropped, as upstream does with a whole malformed list."""
    found: Managers = {}
    for entry in entries or ():
        fields = entry.get("fieldsV1")
        if isinstance(fields, dict):
            key = Manager(
                entry.get("manager", ""), entry.get("operation", UPDATE), entry.get("apiVersion", ""),
                entry.get("subresource", ""),
            )  # fmt: skip
            found[key] = Managed(fields, entry.get("time", ""))
    return found


def encode(managers: Managers) -> list[Object]:
    """Entries in upstream's order: Apply first, then by time, manager, version, subresource."""
    ordered = sorted(managers.items(), key=lambda m: (m[0].operation, m[1].time, m[0].name, m[0].api_version, m[0][3]))
    return [_entry(key, managed) for key, managed in ordered]


def _entry(key: Manager, managed: Managed) -> Object:
    entry: Object = {
        "manager": key.name, "operation": key.operation, "apiVersion": key.api_version, "time": managed.time,
        "fieldsType": "FieldsV1", "fieldsV1": managed.fields,
    }  # fmt: skip
    if not managed.time:
        del entry["time"]
    return entry | {"subresource": key.subresource} if key.subresource else entry


def manager_name(field_manager: str, user_agent: str) -> str:
    """The manager of a write that names none: the user agent's product, at most 128 characters."""
    return field_manager or user_agent.split("/", 1)[0][:128] or "unknown"


def without_entries(obj: Object) -> Object:
    """The object as owners see it: a shallow copy without managedFields."""
    if "managedFields" not in obj["metadata"]:
        return obj
    return obj | {"metadata": {k: v for k, v in obj["metadata"].items() if k != "managedFields"}}


def after_create(obj: Object, manager: Manager, schema: FieldSchema | None, now: str) -> list[Object]:
    """Entries of a new object: its creator owns all that it set."""
    return after_update({"metadata": {}}, obj, {}, manager, schema, now)


def after_update(
    old: Object, new: Object, managers: Managers, manager: Manager, schema: FieldSchema | None, now: str
) -> list[Object]:
    """Entries after `manager` replaced `old` by `new` (both without managedFields): it owns what it changed."""
    changed, removed = _changes(old, new, schema)
    result: Managers = {}
    touched = union(changed, removed)
    for key, managed in managers.items():
        _keep(result, key, managed, difference(managed.fields, touched if key != manager else removed))
    if changed:
        before = result.get(manager)
        fields = union(before.fields, changed) if before else changed
        result[manager] = Managed(fields, before.time if before and fields == before.fields else now)
        _refresh(result, managers, manager, now)
    return encode(_capped(result))


def _refresh(result: Managers, before: Managers, manager: Manager, now: str) -> None:
    earlier = before.get(manager)
    if earlier is None or earlier.fields != result[manager].fields:
        result[manager] = Managed(result[manager].fields, now)


def _keep(result: Managers, key: Manager, managed: Managed, left: FieldSet) -> None:
    if left:
        result[key] = managed if left is managed.fields else Managed(left, managed.time)


def _changes(old: Object, new: Object, schema: FieldSchema | None) -> tuple[FieldSet, FieldSet]:
    changed, removed = compare(old, new, schema)
    return owned_part(changed), owned_part(removed)


def owned_part(fields: FieldSet) -> FieldSet:
    """The set without what nobody owns. `metadata` itself is not owned, what clients set in it is."""
    return difference(fields, _UNOWNED)


def _capped(managers: Managers) -> Managers:
    """At most MAX_UPDATE_MANAGERS entries of updates: the oldest are merged, per version and subresource."""
    updates = sorted((m for m in managers if m.operation == UPDATE), key=lambda m: managers[m].time)
    excess = len(updates) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return managers
    result = dict(managers)
    for key in updates[: excess + 1]:
        managed = result.pop(key)
        bucket = Manager(ANCIENT, UPDATE, key.api_version, key.subresource)
        earlier = result.get(bucket)
        fields = union(earlier.fields, managed.fields) if earlier else managed.fields
        result[bucket] = Managed(fields, max(managed.time, earlier.time) if earlier else managed.time)
    return result


class Applied(NamedTuple):
    """What an apply makes of the live object. `entries` are its managedFields; `obj` is without them."""

    obj: Object
    entries: list[Object]


def apply(
    live: Object | None,
    config: Object,
    managers: Managers,
    manager: Manager,
    schema: FieldSchema | None,
    force: bool,
    now: str,
) -> Applied:
    """Merge the applied configuration. `live` (None: to be created) and `config` are without managedFields.

    Raises Conflict if fields that others own would change and `force` is off; DuplicateItem for duplicate list items.
    """
    managers = dict(managers)
    if live is not None and not managers:
        everything = owned_part(fields_of(live, schema))
        if everything:
            managers[Manager(FIRST, UPDATE, live.get("apiVersion", manager.api_version))] = Managed(everything, now)
    base: Object = live if live is not None else {}
    last = managers.get(manager)
    given = fields_of(config, schema)
    wanted = owned_part(given)
    managers[manager] = Managed(wanted, last.time if last and last.fields == wanted else now)
    merged = merge(base, config, schema)
    if last is not None:
        merged = _pruned(merged, last.fields, given, managers, schema)
    changed, removed = _changes(base, merged, schema)
    conflicts = {
        key: shared
        for key, managed in managers.items()
        if key != manager and (shared := intersection(managed.fields, changed))
    }
    if conflicts and not force:
        raise conflict(conflicts)
    result: Managers = {}
    for key, managed in managers.items():
        left = managed.fields
        if key != manager:
            left = difference(difference(left, conflicts.get(key, {})), removed)
        _keep(result, key, managed, left)
    return Applied(merged, encode(_capped(result)))


def _pruned(merged: Object, last: FieldSet, given: FieldSet, managers: Managers, schema: FieldSchema | None) -> Object:
    """Without what this manager applied before, does not give now, and nobody else owns."""
    kept = given
    for managed in managers.values():
        kept = union(kept, managed.fields)
    gone = difference(with_named_fields(last), with_named_fields(kept))
    pruned: Object = remove(merged, gone, schema)
    return pruned


def conflict(conflicts: Mapping[Manager, FieldSet]) -> Conflict:
    """409 with one cause per field, worded as kube-apiserver words it."""
    lines, causes, count = [], [], 0
    for key in sorted(conflicts):
        who = f'"{key.name}"' + (f' with subresource "{key.subresource}"' if key.subresource else "")
        if key.operation == UPDATE and key.api_version:
            who += f" using {key.api_version}"
        found = [format_path(p) for p in paths(conflicts[key])]
        count += len(found)
        causes += [Cause("FieldManagerConflict", f"conflict with {who}", field) for field in found]
        if len(found) == 1:
            lines.append(f"conflict with {who}: {found[0]}")
        else:
            lines.append(f"conflicts with {who}:\n" + "\n".join(f"- {field}" for field in found))
    plural = "" if count == 1 else "s"
    return Conflict(f"Apply failed with {count} conflict{plural}: " + "\n".join(lines), causes=causes)

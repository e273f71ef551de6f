"""Who set which field: `metadata.managedFields`, kept on every write, and the merge of server-side apply.

Decides entries, conflicts and merged objects from plain values; `verbs.field_managers` knows requests and resources.
Objects are unstructured. Source: KEP-555, k8s.io/apimachinery `managedfields`, structured-merge-diff `merge.Updater`.
Left out: a manager's set is not rewritten when the schema makes a granular field atomic or the reverse.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.api.errors import Cause, Conflict
from kcpshard.api.field_sets import (
    FieldSet,
    difference,
    format_path,
    intersection,
    paths,
    recursive_difference,
    union,
)
from kcpshard.api.objects import are_same
from kcpshard.api.structured_merge import (
    Comparison,
    FieldSchema,
    compare,
    fields_of,
    merge,
    remove,
    with_struct_fields,
)

Object = dict[str, Any]
MAX_UPDATE_MANAGERS = 10  # more are merged into one entry, oldest first
ANCIENT, FIRST = "ancient-changes", "before-first-apply"
APPLY, UPDATE = "Apply", "Update"

# Nobody owns these: they are the object's identity or the server's.
_UNOWNED: FieldSet = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {".": {}} | {
        f"f:{name}": {} for name in (
            "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
            "resourceVersion",
        )
    },
}  # fmt: skip


class Manager(NamedTuple):
    """Who writes, how, and through which endpoint. One entry of managedFields each."""

    name: str
    operation: str
    api_version: str  # "" with Apply: whoever applies stays the same manager across versions
    subresource: str = ""


class Managed(NamedTuple):
    fields: FieldSet
    time: str  # RFC 3339, whole seconds; "" if never noted
    api_version: str


Managers = dict[Manager, Managed]
AtVersion = Callable[[Object, str], tuple[Object, FieldSchema | None] | None]


class View(NamedTuple):
    """How the objects of one write are looked at: the version asked for, its schema, fields that cannot be set."""

    api_version: str
    schema: FieldSchema | None
    ignored: FieldSet  # what the endpoint resets; nobody comes to own it
    at_version: AtVersion  # the object in another version, None if that is not served any more
    ignored_elsewhere: FieldSet  # what is ignored where managers of other versions are looked at
    keeps_empty: bool = False  # an empty list is a value of its own, not the lack of one

    def at(self, obj: Object, api_version: str) -> tuple[Object, FieldSchema | None] | None:
        """`obj`, of whatever version, in that one, with its schema."""
        if obj["apiVersion"] == api_version == self.api_version:
            return obj, self.schema
        return self.at_version(obj, api_version)

    def compare(self, old: Object, new: Object, api_version: str) -> Comparison | None:
        before, after = self.at(old, api_version), self.at(new, api_version)
        if before is None or after is None:
            return None
        changed, removed = compare(before[0], after[0], before[1])
        ignored = self.ignored if api_version == self.api_version else self.ignored_elsewhere
        if not ignored:
            return Comparison(changed, removed)
        return Comparison(recursive_difference(changed, ignored), recursive_difference(removed, ignored))


def decode(entries: Any) -> Managers:
    """The entries of an object; of a list with a malformed entry none, as upstream."""
    found: Managers = {}
    for entry in entries if isinstance(entries, list) else ():
        operation, api_version = entry.get("operation"), entry.get("apiVersion")
        if operation not in (APPLY, UPDATE) or not api_version or entry.get("fieldsType") != "FieldsV1":
            return {}
        key = Manager(
            entry.get("manager", ""), operation, "" if operation == APPLY else api_version, entry.get("subresource", "")
        )
        found[key] = Managed(entry.get("fieldsV1") or {}, entry.get("time") or "", api_version)
    return found


def encode(managers: Managers) -> list[Object]:
    """Entries in upstream's order: Apply first, then by time, manager, version, subresource."""
    if len(managers) == 1:
        return [_entry(*pair) for pair in managers.items()]
    return encode_all([managers])


def encode_all(parts: Sequence[Managers]) -> list[Object]:
    """The same of several that may name one manager twice."""
    pairs = [pair for managers in parts for pair in managers.items()]
    pairs.sort(key=lambda m: (m[0].operation, m[1].time, m[0].name, m[1].api_version, m[0][3]))
    return [_entry(key, managed) for key, managed in pairs]


def _entry(key: Manager, managed: Managed) -> Object:
    entry: Object = {
        "manager": key.name, "operation": key.operation, "apiVersion": managed.api_version, "time": managed.time,
        "fieldsType": "FieldsV1", "fieldsV1": managed.fields,
    }  # fmt: skip
    if not key.name:
        del entry["manager"]
    if not managed.time:
        del entry["time"]
    if key.subresource:
        entry["subresource"] = key.subresource
    return entry


def without_entries(obj: Object) -> Object:
    """The object as owners see it: a shallow copy without managedFields."""
    if "managedFields" not in obj["metadata"]:
        return obj
    return obj | {"metadata": {k: v for k, v in obj["metadata"].items() if k != "managedFields"}}


def is_reset(entries: Any) -> bool:
    """An empty list, or one of a single empty entry, is how a client clears managedFields; null is no answer."""
    return isinstance(entries, list) and (not entries or (len(entries) == 1 and not any(entries[0].values())))


def after_update(old: Object, new: Object, managers: Managers, manager: Manager, view: View, now: str) -> Managers:
    """Managers after `manager` made `new` of `old` (both without managedFields): it owns what it changed."""
    comparison = view.compare(old, new, view.api_version)
    assert comparison is not None
    result = _without_taken(managers, (), comparison, old, new, view)
    own = difference(comparison.changed, _UNOWNED)
    if own:
        before = result.get(manager)
        result[manager] = Managed(union(before.fields, own) if before else own, now, manager.api_version)
    return _capped(result)


def _without_taken(
    managers: Managers, kept: Container[Manager], comparison: Comparison, old: Object, new: Object, view: View
) -> Managers:
    """Managers, those in `kept` excepted, without what has changed or gone; each judged in its own version."""
    result: Managers = {}
    for key, managed in managers.items():
        if key in kept:
            result[key] = managed
            continue
        own_version = managed.api_version == view.api_version
        theirs = comparison if own_version else view.compare(old, new, managed.api_version)
        if theirs is None:
            continue
        left = difference(difference(managed.fields, theirs.changed), theirs.removed)
        if left:
            result[key] = managed if left == managed.fields else managed._replace(fields=left)
    return result


def _capped(managers: Managers) -> Managers:
    """At most MAX_UPDATE_MANAGERS entries of updates: the oldest of a version are merged into one."""
    updates = [m for m in managers if m.operation == UPDATE]
    excess = len(updates) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return managers
    updates.sort(key=lambda m: (managers[m].time, m))
    result, first_of = dict(managers), dict[str, Manager]()
    for key in updates:
        if not excess:
            break
        first = first_of.setdefault(key.api_version, key)
        if first is key:
            continue
        bucket = Manager(ANCIENT, UPDATE, key.api_version)
        if bucket not in result:
            result[bucket] = result.pop(first)
        managed = result.pop(key)
        result[bucket] = managed._replace(fields=union(managed.fields, result[bucket].fields))
        excess -= 1
    return result


class Applied(NamedTuple):
    """What an apply makes of the live object, which is without managedFields."""

    obj: Object
    managers: Managers


class FieldConflicts(Exception):
    """Fields that others own and that the applied configuration would change."""

    def __init__(self, conflicts: Mapping[Manager, FieldSet]) -> None:
        self.conflicts = conflicts


def apply(
    live: Object, config: Object, managers: Managers, manager: Manager, view: View, force: bool, now: str
) -> Applied:
    """Merge the applied configuration; neither object has managedFields. Raises FieldConflicts unless `force`."""
    managers, last = dict(managers), managers.get(manager)
    given = recursive_difference(fields_of(config, view.schema), view.ignored)
    managers[manager] = Managed(given, last.time if last else "", view.api_version)
    merged = merge(live, config, view.schema)
    if last is not None and last.fields:
        merged = _pruned(merged, managers, last, view)
        if view.keeps_empty:
            merged = _with_empty(merged, config)
    comparison = view.compare(live, merged, view.api_version)
    assert comparison is not None
    if not force:
        _check_conflicts(managers, manager, comparison, live, merged, view)
    result = _without_taken(managers, (manager,), comparison, live, merged, view)
    own = difference(given, _UNOWNED)
    if own:
        # Who applies what is there already becomes an owner at no time: upstream notes times of changes only.
        time = result[manager].time if are_same(merged, live) else now
        result[manager] = Managed(own, time, view.api_version)
    else:
        del result[manager]
    return Applied(merged, result)


def _check_conflicts(
    managers: Managers, manager: Manager, comparison: Comparison, old: Object, new: Object, view: View
) -> None:
    found = {}
    for key, managed in managers.items():
        if key == manager:
            continue
        own_version = managed.api_version == view.api_version
        theirs = comparison if own_version else view.compare(old, new, managed.api_version)
        if theirs is not None and (shared := intersection(managed.fields, theirs.changed)):
            found[key] = shared
    if found:
        raise FieldConflicts(found)


def _pruned(merged: Object, managers: Managers, last: Managed, view: View) -> Object:
    """Without what this manager applied before, does not give now, and nobody else owns."""
    seen = view.at(merged, last.api_version)
    if seen is None:
        return merged
    whole, schema = seen
    before = with_struct_fields(last.fields, schema)
    pruned = remove(whole, before, schema)
    for version, owned in _by_version(managers, last.api_version).items():
        pruned = _with_owned(merged, pruned, owned, version, view) or pruned
    back = view.at(pruned, last.api_version)
    assert back is not None
    everything = with_struct_fields(fields_of(whole, schema), schema)
    gone = difference(everything, with_struct_fields(fields_of(back[0], schema), schema))
    left = remove(whole, intersection(gone, before), schema)
    final = view.at(left, view.api_version)
    assert final is not None
    return final[0]


def _with_empty(merged: Any, config: Any) -> Any:
    """With the lists that the configuration gives as empty ones, where the last item has just been taken away."""
    if not isinstance(merged, dict) or not isinstance(config, dict):
        return merged
    result = merged
    for name, given in config.items():
        found = merged.get(name)
        kept = given if given == [] and found is None else _with_empty(found, given)
        if kept is not found:
            result = {**result, name: kept}
    return result


def _by_version(managers: Managers, first: str) -> dict[str, FieldSet]:
    found: dict[str, FieldSet] = {first: {}}
    for managed in managers.values():
        found[managed.api_version] = union(found.get(managed.api_version, {}), managed.fields)
    return found


def _with_owned(merged: Object, pruned: Object, owned: FieldSet, version: str, view: View) -> Object | None:
    """`pruned` with what is owned at `version` added back, in that version."""
    whole, part = view.at(merged, version), view.at(pruned, version)
    if whole is None or part is None:
        return None
    schema = whole[1]
    kept = union(with_struct_fields(fields_of(part[0], schema), schema), with_struct_fields(owned, schema))
    result: Object = remove(whole[0], difference(with_struct_fields(fields_of(whole[0], schema), schema), kept), schema)
    return result


# --- conflicts in words


def conflict(conflicts: Mapping[Manager, FieldSet]) -> Conflict:
    """409 with one cause per field, worded as kube-apiserver words it."""
    lines, causes = [], []
    for key in sorted(conflicts):
        who = f'"{key.name}"' + (f' with subresource "{key.subresource}"' if key.subresource else "")
        if key.operation == UPDATE:
            who += f" using {key.api_version}"
        found = [format_path(p) for p in paths(conflicts[key])]
        causes += [Cause("FieldManagerConflict", f"conflict with {who}", field) for field in found]
        lines += [f"conflicts with {who}:", *(f"- {field}" for field in found)]
    if len(causes) == 1:
        return Conflict(f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}", causes=causes)
    return Conflict(f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines), causes=causes)


def same_but_times(a: Sequence[Object], b: Sequence[Object]) -> bool:
    """Whether two lists of entries differ in nothing but times."""
    return a == b or (len(a) == len(b) and all(x | {"time": ""} == y | {"time": ""} for x, y in zip(a, b, strict=True)))

"""Which fields an object has, how two differ, and how an applied configuration is merged into the live object.

Maps are granular unless their map type is atomic; lists are atomic unless they are a `set` or a `map` (associative by
their map keys). Without a schema maps are granular and lists atomic. Pure functions; arguments are never changed,
results may share parts with them. Source: structured-merge-diff `typed` (KEP-555).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from kcpshard.api.field_sets import SELF, FieldSet, is_member
from kcpshard.api.objects import are_same

Path = tuple[str, ...]


class FieldSchema(Protocol):
    """What is needed to know of one value; `definitions.facts.Schema` is one."""

    @property
    def properties(self) -> "Mapping[str, FieldSchema] | None": ...
    @property
    def values(self) -> "FieldSchema | None": ...
    @property
    def items(self) -> "FieldSchema | None": ...
    @property
    def list_type(self) -> str: ...
    @property
    def list_map_keys(self) -> Sequence[str]: ...
    @property
    def map_type(self) -> str: ...
    @property
    def default(self) -> Any: ...


class DuplicateItem(ValueError):
    """Two items of an associative list or set with the same key."""

    def __init__(self, path: Path, element: str) -> None:
        super().__init__(f"duplicate entries for key {element}")
        self.path, self.element = path, element


class Comparison(NamedTuple):
    changed: FieldSet  # added or modified
    removed: FieldSet


def is_granular_map(value: Any, schema: FieldSchema | None) -> bool:
    return isinstance(value, dict) and (schema is None or schema.map_type != "atomic")


def is_associative(schema: FieldSchema | None) -> bool:
    return schema is not None and schema.list_type in ("map", "set")


def child_schema(schema: FieldSchema | None, name: str) -> FieldSchema | None:
    if schema is None:
        return None
    if schema.properties is not None and name in schema.properties:
        return schema.properties[name]
    return schema.values


def _is_struct_field(schema: FieldSchema | None, name: str) -> bool:
    return schema is not None and schema.properties is not None and name in schema.properties


def item_element(item: Any, schema: FieldSchema) -> str:
    """The path element of a list item: `k:{…}` of a map list, `v:…` of a set."""
    if schema.list_type == "set" or not isinstance(item, dict):
        return "v:" + orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()
    keys = {}
    for name in schema.list_map_keys:
        if name in item:
            keys[name] = item[name]
        elif (field := child_schema(schema.items, name)) is not None and field.default is not None:
            keys[name] = field.default
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def by_element(items: Sequence[Any] | None, schema: FieldSchema) -> dict[str, list[Any]]:
    """Items by path element, in order; more than one under an element are duplicates."""
    found: dict[str, list[Any]] = {}
    for item in items or ():
        found.setdefault(item_element(item, schema), []).append(item)
    return found


# --- the fields of one object. A node is {} for a member without children; None where there is nothing at all.


def fields_of(value: Any, schema: FieldSchema | None) -> FieldSet:
    """Every leaf of an object, plus items of associative lists and keys of free-form maps."""
    return _fields(value, schema) or {}


def _fields(value: Any, schema: FieldSchema | None) -> FieldSet | None:
    if is_granular_map(value, schema):
        return {
            f"f:{name}": node for name, child in value.items() if (node := _field(child, schema, name)) is not None
        } or None
    if isinstance(value, list) and is_associative(schema):
        assert schema is not None
        return {
            element: _item_fields(items, schema.items) for element, items in by_element(value, schema).items()
        } or None
    return {}


def _field(value: Any, schema: FieldSchema | None, name: str) -> FieldSet | None:
    if value is None or value == {}:
        return {}
    node = _fields(value, child_schema(schema, name))
    if node and SELF not in node and not _is_struct_field(schema, name):
        return {SELF: {}, **node}
    return node if node is not None or _is_struct_field(schema, name) else {}


def _item_fields(items: list[Any], schema: FieldSchema | None) -> FieldSet:
    if len(items) > 1 or not isinstance(items[0], dict):
        return {}
    node = _fields(items[0], schema)
    return {SELF: {}, **node} if node else {}


def with_struct_fields(node: FieldSet, schema: FieldSchema | None) -> FieldSet:
    """The set with every declared field that leads to a member made a member too."""
    result: FieldSet = {}
    for key, child in node.items():
        if not child:
            result[key] = child
            continue
        if key.startswith("f:"):
            grown = with_struct_fields(child, child_schema(schema, key[2:]))
            if SELF not in grown and _is_struct_field(schema, key[2:]):
                grown = {SELF: {}, **grown}
        else:
            grown = with_struct_fields(child, schema.items if schema is not None else None)
        result[key] = grown
    return result


# --- the difference of two


def compare(old: Any, new: Any, schema: FieldSchema | None) -> Comparison:
    changed, removed = _compare(old, new, schema)
    return Comparison(changed or {}, removed or {})


_Nodes = tuple[FieldSet | None, FieldSet | None]  # changed, removed
_SAME: _Nodes = (None, None)


def _compare(old: Any, new: Any, schema: FieldSchema | None) -> _Nodes:
    if are_same(old, new):
        return _SAME
    if not old and not new:
        return {}, None  # null, empty and absent-but-typed differ as leaves
    if is_granular_map(old if new is None else new, schema) and isinstance(old or {}, dict):
        return _compare_maps(old or {}, new or {}, schema)
    if is_associative(schema) and isinstance(old or [], list) and isinstance(new or [], list):
        assert schema is not None
        return _compare_lists(by_element(old, schema), by_element(new, schema), schema)
    return {}, None


def _compare_maps(old: dict[str, Any], new: dict[str, Any], schema: FieldSchema | None) -> _Nodes:
    changed: FieldSet = {}
    removed: FieldSet = {}
    for name, value in new.items():
        if name not in old:
            changed[f"f:{name}"] = _whole(value, child_schema(schema, name))
        elif (before := old[name]) is not value:
            _note(f"f:{name}", _compare(before, value, child_schema(schema, name)), changed, removed)
    for name, value in old.items():
        if name not in new:
            removed[f"f:{name}"] = _whole(value, child_schema(schema, name))
    return changed or None, removed or None


def _compare_lists(old: dict[str, list[Any]], new: dict[str, list[Any]], schema: FieldSchema) -> _Nodes:
    changed: FieldSet = {}
    removed: FieldSet = {}
    for element, items in new.items():
        before = old.get(element)
        if before is None:
            changed[element] = _whole(items[0], schema.items)
        elif len(before) == len(items) == 1:
            _note(element, _compare(before[0], items[0], schema.items), changed, removed)
        elif not are_same(before, items):
            changed[element] = {}
    for element, items in old.items():
        if element not in new:
            removed[element] = _whole(items[0], schema.items)
    return changed or None, removed or None


def _note(key: str, nodes: _Nodes, changed: FieldSet, removed: FieldSet) -> None:
    if nodes[0] is not None:
        changed[key] = nodes[0]
    if nodes[1] is not None:
        removed[key] = nodes[1]


def _whole(value: Any, schema: FieldSchema | None) -> FieldSet:
    """A subtree that one side lacks: itself and everything in it."""
    node: FieldSet = {}
    if type(value) is dict:
        if value and (schema is None or schema.map_type != "atomic"):
            node[SELF] = {}
            for name, child in value.items():
                scalar = type(child) is str
                node[f"f:{name}"] = {} if scalar else _whole(child, child_schema(schema, name))
    elif type(value) is list and value and is_associative(schema):
        assert schema is not None
        node[SELF] = {}
        for element, items in by_element(value, schema).items():
            node[element] = _whole(items[0], schema.items)
    return node


# --- merging and removing


def merge(live: Any, applied: Any, schema: FieldSchema | None) -> Any:
    """The live value with the applied one laid over it. Raises DuplicateItem if the applied one has duplicates."""
    return _merge(live, applied, schema, ())


def _merge(live: Any, applied: Any, schema: FieldSchema | None, path: Path) -> Any:
    if applied is None and live:
        return live if is_granular_map(live, schema) or (isinstance(live, list) and is_associative(schema)) else None
    if is_granular_map(applied, schema):
        if not applied and not isinstance(live, dict):
            return applied
        result = dict(live) if isinstance(live, dict) else {}
        for name, value in applied.items():
            result[name] = _merge(result.get(name), value, child_schema(schema, name), (*path, f"f:{name}"))
        return result
    if isinstance(applied, list) and is_associative(schema):
        assert schema is not None
        return _merge_items(live if isinstance(live, list) else [], applied, schema, path)
    return applied


def _merge_items(live: list[Any], applied: list[Any], schema: FieldSchema, path: Path) -> list[Any]:
    """Shared items in the order of `applied`; an item of the server's alone stays before the next shared one."""
    ours, theirs = by_element(live, schema), by_element(applied, schema)
    for element, items in theirs.items():
        if len(items) > 1:
            raise DuplicateItem(path, element)

    def merged(element: str) -> Any:
        present = ours.get(element)
        return _merge(present[0] if present else None, theirs[element][0], schema.items, (*path, element))

    result: list[Any] = []
    waiting, wanted = list(ours), list(theirs)
    shared = [element for element in wanted if element in ours]
    while waiting and wanted:
        head = waiting[0]
        if head not in theirs:
            result += ours[waiting.pop(0)]
        elif shared and head != shared[0]:
            waiting.pop(0)  # its turn comes by the order of `applied`
        else:
            element = wanted.pop(0)
            result.append(merged(element))
            if shared and element == shared[0]:
                shared.pop(0)
            if element == head:
                waiting.pop(0)
    for element in waiting:
        if element not in theirs:
            result += ours[element]
    return result + [merged(element) for element in wanted]


def remove(value: Any, fields: FieldSet, schema: FieldSchema | None) -> Any:
    """The value without the members of `fields` (and all below them); None where nothing is left."""
    if not value:
        return None
    if is_granular_map(value, schema):
        kept = {}
        for name, child in value.items():
            node = fields.get(f"f:{name}")
            if node is None:
                kept[name] = child
            elif not is_member(node):
                kept[name] = remove(child, node, child_schema(schema, name))
        return kept or None
    if isinstance(value, list) and is_associative(schema):
        assert schema is not None
        left = []
        for item in value:
            node = fields.get(item_element(item, schema))
            if node is None:
                left.append(item)
            elif not is_member(node):
                left.append(remove(item, node, schema.items))
        return left or None
    return None if isinstance(value, dict | list) else value

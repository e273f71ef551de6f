"""Which fields an object has, how two differ, and how an applied configuration is merged into the live object.

Maps are granular unless their map type is atomic; lists are atomic unless they are a `set` or a `map` (associative by
their map keys). Without a schema maps are granular and lists atomic. Pure functions; arguments are never changed,
results may share parts with them. Source: structured-merge-diff `typed` (KEP-555).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from kcpshard.api.field_sets import FieldSet, insert, is_member

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


def _is_granular_map(value: Any, schema: FieldSchema | None) -> bool:
    return isinstance(value, dict) and (schema is None or schema.map_type != "atomic")


def _is_associative(schema: FieldSchema | None) -> bool:
    return schema is not None and schema.list_type in ("map", "set")


def _child(schema: FieldSchema | None, name: str) -> FieldSchema | None:
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
        elif (field := _child(schema.items, name)) is not None and field.default is not None:
            keys[name] = field.default
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def _by_element(items: Sequence[Any], schema: FieldSchema) -> dict[str, list[Any]]:
    """Items by path element, in order; more than one under an element are duplicates."""
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(item_element(item, schema), []).append(item)
    return found


def fields_of(value: Any, schema: FieldSchema | None) -> FieldSet:
    """Every leaf of an object, plus items of associative lists and keys of free-form maps."""
    root: FieldSet = {}
    _collect(value, schema, (), root)
    return root


def _collect(value: Any, schema: FieldSchema | None, path: Path, root: FieldSet) -> None:
    if _is_granular_map(value, schema):
        for name, child in value.items():
            here = (*path, f"f:{name}")
            _collect(child, _child(schema, name), here, root)
            if child in (None, {}, []) or not _is_struct_field(schema, name):
                insert(root, here)
    elif isinstance(value, list) and schema is not None and _is_associative(schema):
        for element, items in _by_element(value, schema).items():
            here = (*path, element)
            insert(root, here)
            if len(items) == 1 and element.startswith("k:"):
                _collect(items[0], schema.items, here, root)
    elif path:
        insert(root, path)


def compare(old: Any, new: Any, schema: FieldSchema | None) -> Comparison:
    result = Comparison({}, {})
    _compare(old, new, schema, (), result)
    return result


def _compare(old: Any, new: Any, schema: FieldSchema | None, path: Path, result: Comparison) -> None:
    if old == new and type(old) is type(new):
        return
    if _is_granular_map(old, schema) and _is_granular_map(new, schema):
        for name in old.keys() | new.keys():
            _compare_child(old, new, name, _child(schema, name), (*path, f"f:{name}"), result)
    elif isinstance(old, list) and isinstance(new, list) and schema is not None and _is_associative(schema):
        before, after = _by_element(old, schema), _by_element(new, schema)
        for element in before.keys() | after.keys():
            _compare_items(before.get(element), after.get(element), schema, (*path, element), result)
    elif path:
        insert(result.changed, path)


def _compare_child(
    old: dict[str, Any], new: dict[str, Any], name: str, schema: FieldSchema | None, path: Path, result: Comparison
) -> None:
    if name not in old:
        _added(new[name], schema, path, result.changed)
    elif name not in new:
        _added(old[name], schema, path, result.removed)
    else:
        _compare(old[name], new[name], schema, path, result)


def _compare_items(
    old: list[Any] | None, new: list[Any] | None, schema: FieldSchema, path: Path, result: Comparison
) -> None:
    if old is not None and new is not None and len(old) == len(new) == 1:
        _compare(old[0], new[0], schema.items, path, result)
    elif old is None and new is not None:
        _added(new[0], schema.items, path, result.changed)
    elif new is None and old is not None:
        _added(old[0], schema.items, path, result.removed)
    elif old != new:
        insert(result.changed, path)


def _added(value: Any, schema: FieldSchema | None, path: Path, root: FieldSet) -> None:
    """A subtree that one side lacks: itself and everything in it."""
    insert(root, path)
    if _is_granular_map(value, schema):
        for name, child in value.items():
            _added(child, _child(schema, name), (*path, f"f:{name}"), root)
    elif isinstance(value, list) and schema is not None and _is_associative(schema):
        for element, items in _by_element(value, schema).items():
            _added(items[0], schema.items, (*path, element), root)


def merge(live: Any, applied: Any, schema: FieldSchema | None) -> Any:
    """The live value with the applied one laid over it. Raises DuplicateItem if the applied one has duplicates."""
    return _merge(live, applied, schema, ())


def _merge(live: Any, applied: Any, schema: FieldSchema | None, path: Path) -> Any:
    if _is_granular_map(applied, schema):
        result = dict(live) if isinstance(live, dict) else {}
        for name, value in applied.items():
            result[name] = _merge(result.get(name), value, _child(schema, name), (*path, f"f:{name}"))
        return result
    if isinstance(applied, list) and schema is not None and _is_associative(schema):
        return _merge_items(live if isinstance(live, list) else [], applied, schema, path)
    return applied


def _merge_items(live: list[Any], applied: list[Any], schema: FieldSchema, path: Path) -> list[Any]:
    """Items only the server has stay before the shared item that follows them; shared ones go by `applied`."""
    ours, theirs = _by_element(live, schema), _by_element(applied, schema)
    for element, items in theirs.items():
        if len(items) > 1:
            raise DuplicateItem(path, element)
    result: list[Any] = []
    waiting, done = list(ours), set[str]()
    for element, items in theirs.items():
        while waiting and (waiting[0] not in theirs or waiting[0] in done):
            head = waiting.pop(0)
            if head not in done:
                result += ours[head]
        done.add(element)
        if waiting and waiting[0] == element:
            waiting.pop(0)
        present = ours.get(element)
        result.append(_merge(present[0] if present else None, items[0], schema.items, (*path, element)))
    for element in waiting:
        if element not in done:
            result += ours[element]
    return result


def remove(value: Any, fields: FieldSet, schema: FieldSchema | None) -> Any:
    """The value without the members of `fields` (and all below them)."""
    if _is_granular_map(value, schema):
        kept = {}
        for name, child in value.items():
            node = fields.get(f"f:{name}")
            if node is None:
                kept[name] = child
            elif not is_member(node):
                kept[name] = remove(child, node, _child(schema, name))
        return kept
    if isinstance(value, list) and schema is not None and _is_associative(schema):
        left = []
        for item in value:
            node = fields.get(item_element(item, schema))
            if node is None:
                left.append(item)
            elif not is_member(node):
                left.append(remove(item, node, schema.items))
        return left
    return value

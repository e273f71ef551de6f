"""Whether an applied configuration has the form of its kind's schema; every fault in structured-merge-diff's words.

Decides what may not be applied: undeclared fields, values of another type, duplicate keys. Nothing is changed. What has
no declared type (quantities, times, free-form values) is taken as it is.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kcpshard.api.field_sets import format_path
from kcpshard.api.objects import go_text
from kcpshard.api.structured_merge import FieldSchema, Path, by_element, child_schema, is_associative

_SCALARS: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "bytes": (str,), "boolean": (bool,), "integer": (int, float), "number": (int, float)
}  # fmt: skip


def typed_faults(value: Any, schema: FieldSchema | None) -> list[str]:
    """Each as "PATH: what is wrong", sorted."""
    return sorted(_faults(value, schema, ()))


def typed_fault(faults: list[str]) -> str:
    """Several faults as one text."""
    return faults[0] if len(faults) == 1 else "\n  ".join(["errors:", *faults])


def _faults(value: Any, schema: FieldSchema | None, path: Path) -> Iterator[str]:
    kind = getattr(schema, "type", "")
    if value is None or schema is None:
        return
    if kind == "object":
        yield from _map_faults(value, schema, path)
    elif kind == "array":
        yield from _list_faults(value, schema, path)
    elif kind in _SCALARS and not _is_scalar(value, kind):
        yield f"{format_path(path)}: {_scalar_fault(value, kind)}"


def _is_scalar(value: Any, kind: str) -> bool:
    return isinstance(value, _SCALARS[kind]) and (kind == "boolean") is isinstance(value, bool)


def _scalar_fault(value: Any, kind: str) -> str:
    """Upstream formats each of the three with a verb of its own: %#v, %v, %T."""
    if kind in ("string", "bytes"):
        return f"expected string, got &value.valueUnstructured{{Value:{_go_syntax(value)}}}"
    if kind == "boolean":
        return f"expected boolean, got {_shown(value)}"
    return f"expected numeric (int or float), got {_go_type(value)}"


def _map_faults(value: Any, schema: FieldSchema, path: Path) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{format_path(path)}: expected map, got {_shown(value)}"
        return
    free = getattr(schema, "preserve_unknown", False)
    for name, child in value.items():
        here = (*path, f"f:{name}")
        inner = child_schema(schema, name)
        if inner is None and schema.properties is not None and not free and not _is_everybodys(path, name):
            yield f"{format_path(here)}: field not declared in schema"
        else:
            yield from _faults(child, inner, here)


def _is_everybodys(path: Path, name: str) -> bool:
    return not path and name in ("apiVersion", "kind", "metadata")


def _list_faults(value: Any, schema: FieldSchema, path: Path) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{format_path(path)}: expected list, got {_shown(value)}"
        return
    if not is_associative(schema):
        for place, item in enumerate(value):
            yield from _faults(item, schema.items, (*path, f"i:{place}"))
        return
    if schema.list_type == "map" and (keyless := list(_key_faults(value, schema))):
        yield f"{format_path(path)}: {keyless[0]}"
        return
    for element, items in by_element(value, schema).items():
        if len(items) > 1:
            yield f"{format_path(path)}: duplicate entries for key {format_path((element,))}"
        for item in items:
            yield from _faults(item, schema.items, (*path, element))


def _key_faults(items: list[Any], schema: FieldSchema) -> Iterator[str]:
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            yield f"element {place}: associative list with keys may not have non-map elements"
            continue
        if not hasattr(schema, "preserve_unknown"):
            continue  # of a built-in kind: an absent key is Go's zero value, which validation judges later
        for name in schema.list_map_keys:
            field = child_schema(schema.items, name)
            if name not in item and (field is None or field.default is None):
                yield (
                    f'element {place}: associative list with keys has an element that omits key field "{name}" '
                    "(and doesn't have default value)"
                )


def _shown(value: Any) -> str:
    """Go's %v of the value package's wrapper."""
    return f"&{{{go_text(value)}}}"


_GO_TYPES = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool", int: "int64"}


def _go_type(value: Any) -> str:
    return _GO_TYPES.get(type(value), "float64")


def _go_syntax(value: Any) -> str:
    """Go's %#v."""
    match value:
        case None:
            return "interface {}(nil)"
        case dict():
            inner = ", ".join(f"{_go_syntax(k)}:{_go_syntax(v)}" for k, v in sorted(value.items()))
            return f"{_go_type(value)}{{{inner}}}"
        case list():
            return f"{_go_type(value)}{{{', '.join(map(_go_syntax, value))}}}"
    return orjson.dumps(value).decode()

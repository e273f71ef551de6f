"""Whether an applied configuration has the form of its kind's schema; every fault in structured-merge-diff's words.

Decides what may not be applied: undeclared fields, values of another type, duplicate keys. Nothing is changed. What has
no declared type (quantities, times, free-form values) is taken as it is.
"""

from collections.abc import Iterator
from typing import Any

from kcpshard.api.field_sets import format_path
from kcpshard.api.structured_merge import FieldSchema, Path, by_element, child_schema, is_associative

_SCALARS = {"string": str, "bytes": str, "boolean": bool, "integer": int, "number": (int, float)}
_WORDS = {"bytes": "string", "integer": "numeric (int or float)", "number": "numeric (int or float)"}


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
        yield f"{format_path(path)}: expected {_WORDS.get(kind, kind)}, got {_shown(value)}"


def _is_scalar(value: Any, kind: str) -> bool:
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    wanted = (int, float) if kind == "integer" else _SCALARS[kind]
    return isinstance(value, wanted)  # type: ignore[arg-type]


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
    for element, items in by_element(value, schema).items():
        if len(items) > 1:
            yield f"{format_path(path)}: duplicate entries for key {format_path((element,))}"
        for item in items:
            yield from _faults(item, schema.items, (*path, element))


def _shown(value: Any) -> str:
    """Go's %v of the value package's wrapper."""
    match value:
        case bool():
            text = "true" if value else "false"
        case dict():
            text = "map[" + " ".join(f"{k}:{_plain(v)}" for k, v in sorted(value.items())) + "]"
        case list():
            return f"&{{{_plain(value)}}}"
        case _:
            text = str(value)
    return f"&value.valueUnstructured{{Value:{text}}}" if not isinstance(value, dict) else f"&{{{text}}}"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "[" + " ".join(map(_plain, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

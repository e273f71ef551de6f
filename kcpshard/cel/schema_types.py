"""A structural schema as the types of its values, and the values of an object in the form that CEL sees.

Decides what expressions can see of a schema (what has no type is not visible) and how large it may become, which the
estimate of costs lives on. Works on raw schemas: nodes of junctors included, nothing is built that is not looked at.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from kcpshard.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Type,
    escape,
    list_of,
    map_of,
    struct,
)  # fmt: skip
from kcpshard.cel.values import MapList, SetList, parse_date, parse_timestamp, parse_word_duration

Raw = Mapping[str, Any]
MAX_REQUEST = 3 * 1024 * 1024
_STRING: Raw = {"type": "string"}
_METADATA: Raw = {"type": "object", "properties": {"name": _STRING, "generateName": _STRING}}


def with_object_meta(raw: Raw) -> Raw:
    """The root of a resource: of its metadata a rule sees the name and the prefix of a generated one."""
    properties = dict(raw.get("properties") or {})
    return {**raw, "properties": {**properties, "kind": _STRING, "apiVersion": _STRING, "metadata": _METADATA}}


def type_of_schema(raw: Raw, is_root: bool = False) -> Type | None:
    """None: expressions do not see values of this schema."""
    if raw.get("x-kubernetes-int-or-string"):
        longest = raw.get("maxLength")
        return _sized(DYN, _text_size(longest) if longest is not None else MAX_REQUEST - 2, 1)
    if is_root:
        raw = with_object_meta(raw)
    match raw.get("type"):
        case "array":
            return _array(raw)
        case "object":
            return _object(raw)
        case "string":
            return _string(raw)
        case "boolean":
            return BOOL
        case "number":
            return DOUBLE
        case "integer":
            return INT
    return None


def _sized(kind: Type, size: int, smallest: int) -> Type:
    return Type(kind.kind, kind.name, size=size, smallest=smallest)


def _array(raw: Raw) -> Type | None:
    items = raw.get("items")
    element = type_of_schema(items, bool(items.get("x-kubernetes-embedded-resource"))) if items else None
    if element is None:
        return None
    most = raw.get("maxItems")
    return list_of(element, max(0, most) if most is not None else (MAX_REQUEST - 2) // (element.smallest + 1))


def _object(raw: Raw) -> Type | None:
    values = raw.get("additionalProperties")
    if isinstance(values, Mapping):
        value = type_of_schema(values, bool(values.get("x-kubernetes-embedded-resource")))
        if value is None:
            return None
        most = raw.get("maxProperties")
        return map_of(STRING, value, max(0, most) if most is not None else (MAX_REQUEST - 2) // (value.smallest + 6))
    fields, smallest = {}, 2
    required = frozenset(raw.get("required") or ())
    for name, child in (raw.get("properties") or {}).items():
        found = type_of_schema(child, bool(child.get("x-kubernetes-embedded-resource")))
        if found is None:
            continue
        if (escaped := escape(name)) is not None:
            fields[escaped] = found
        if name in required and child.get("default") is None:
            smallest += len(name) + found.smallest + 4
    return struct(fields, smallest)


def _text_size(longest: int) -> int:
    return max(0, longest) * 4


def _string(raw: Raw) -> Type:
    longest = raw.get("maxLength")
    match raw.get("format"):
        case "byte":
            return _sized(BYTES, max(0, longest) if longest is not None else MAX_REQUEST - 2, 2)
        case "duration":
            return _sized(DURATION, 32, 3)
        case "date":
            return _sized(TIMESTAMP, 12, 12)
        case "date-time":
            return _sized(TIMESTAMP, 32, 21)
    if longest is not None:
        return _sized(STRING, _text_size(longest), 2)
    if raw.get("enum"):
        return _sized(STRING, max(len(v.encode()) for v in (*raw["enum"], "") if isinstance(v, str)), 2)
    return _sized(STRING, MAX_REQUEST - 2, 2)


Conversion = Callable[[Any], Any]


def conversion(raw: Raw) -> Conversion | None:
    """What makes of a decoded value what CEL sees; None where they are the same, the usual case."""
    match raw.get("type"):
        case "number":
            return _to_double
        case "string":
            return _STRINGS.get(raw.get("format") or "")
        case "array":
            return _list_conversion(raw)
        case "object":
            return _object_conversion(raw)
    return None


def _to_double(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _parsed(parse: Callable[[str], Any]) -> Conversion:
    def convert(value: Any) -> Any:
        try:
            return parse(value) if isinstance(value, str) else value
        except (ValueError, binascii.Error):
            return value

    return convert


_STRINGS: dict[str, Conversion] = {
    "byte": _parsed(lambda text: base64.b64decode(text, validate=True)), "duration": _parsed(parse_word_duration),
    "date": _parsed(parse_date), "date-time": _parsed(parse_timestamp),
}  # fmt: skip


def _list_conversion(raw: Raw) -> Conversion | None:
    items = conversion(raw.get("items") or {})
    keys = tuple(raw.get("x-kubernetes-list-map-keys") or ())
    kind = raw.get("x-kubernetes-list-type")
    if items is None and kind not in ("set", "map"):
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        found = value if items is None else [items(v) for v in value]
        if kind == "set":
            return SetList(found)
        if kind != "map":
            return found
        keyed = MapList(found)
        keyed.keys = keys
        return keyed

    return convert


def _object_conversion(raw: Raw) -> Conversion | None:
    values = raw.get("additionalProperties")
    if isinstance(values, Mapping):
        inner = conversion(values)
        if inner is None:
            return None
        return lambda value: {k: inner(v) for k, v in value.items()} if isinstance(value, dict) else value
    found = {k: made for k, child in (raw.get("properties") or {}).items() if (made := conversion(child))}
    if not found:
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: found[k](v) if k in found else v for k, v in value.items()}

    return convert

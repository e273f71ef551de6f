"""Why a CRD's OpenAPI v3 schema is not a structural one: what may be written where (KEP-1693, apiextensions).

Words and fields are kube-apiserver's. Leaves CEL rules to their own package, and what defaults contain to
`default_faults`. Pure; a walk over the raw schema.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import re2

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.schema.default_faults import default_faults

Raw = Mapping[str, Any]
TYPES = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED = ("$ref", "$schema", "id", "definitions", "dependencies", "patternProperties", "additionalItems")
_NOT_IN_JUNCTORS = (
    "type", "additionalProperties", "nullable", "description", "title", "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-validations",
)  # fmt: skip
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


_QUIET = re2.Options()
_QUIET.log_errors = False


def faults(raw: Raw, path: str) -> list[FieldError]:
    """Every reason why the schema at `path` may not be in a CRD; empty if it is structural."""
    found = list(_at_root(raw, path))
    found += _walk(raw, path, is_root=True)
    return found if found else list(default_faults(raw, path))


def _at_root(raw: Raw, path: str) -> Iterator[FieldError]:
    if not raw.get("type"):
        yield required(f"{path}.type", "must not be empty at the root")
    elif raw["type"] != "object":
        yield invalid(f"{path}.type", raw["type"], "must be object at the root")
    if raw.get("nullable"):
        yield forbidden(f"{path}.nullable", "nullable cannot be true at the root")


def _walk(raw: Raw, path: str, is_root: bool = False) -> Iterator[FieldError]:
    """A node that describes structure; what junctors say of its values is judged by `_in_junctor`."""
    yield from _everywhere(raw, path)
    yield from _type_faults(raw, path, is_root)
    if is_root or raw.get("x-kubernetes-embedded-resource"):
        yield from _identity_faults(raw.get("properties") or {}, path, is_root)
    yield from _list_faults(raw, path)
    yield from _map_faults(raw, path)
    for name, child in (raw.get("properties") or {}).items():
        yield from _walk(child, f"{path}.properties[{name}]")
    for member in ("items", "additionalProperties"):
        if isinstance(raw.get(member), dict):
            yield from _walk(raw[member], f"{path}.{member}")
    for child, here in _junctors(raw, path):
        yield from _in_junctor(child, here, _may_have_types(raw, here[len(path) :]))
        yield from _named_outside(child, raw, here, path)


def _junctors(raw: Raw, path: str) -> Iterator[tuple[Raw, str]]:
    for member in _JUNCTORS:
        for place, child in enumerate(raw.get(member) or ()):
            yield child, f"{path}.{member}[{place}]"
    if raw.get("not") is not None:
        yield raw["not"], f"{path}.not"


def _may_have_types(raw: Raw, place: str) -> bool:
    """In the two idioms of int-or-string: `anyOf: [{type: integer}, {type: string}]`, itself or first in `allOf`."""
    if not raw.get("x-kubernetes-int-or-string"):
        return False
    if place.startswith(".anyOf["):
        return _is_idiom(raw["anyOf"])
    return place == ".allOf[0]" and _is_idiom(raw["allOf"][0].get("anyOf"))


def _is_idiom(alternatives: Any) -> bool:
    return [{"type": a.get("type")} for a in alternatives or ()] == _INT_OR_STRING


def _in_junctor(raw: Raw, path: str, may_have_types: bool = False) -> Iterator[FieldError]:
    yield from _everywhere(raw, path)
    for name in _NOT_IN_JUNCTORS:
        if raw.get(name) not in (None, "", False, [], ()) and not (may_have_types and name == "type"):
            yield forbidden(f"{path}.{name}", "must be empty to be structural")
    if raw.get("default") is not None:
        yield forbidden(f"{path}.default", "must be undefined to be structural")
    for name, child in (raw.get("properties") or {}).items():
        yield from _in_junctor(child, f"{path}.properties[{name}]")
    if isinstance(raw.get("items"), dict):
        yield from _in_junctor(raw["items"], f"{path}.items")
    for child, here in _junctors(raw, path):
        yield from _in_junctor(child, here, may_have_types and here.startswith(f"{path}.anyOf["))


def _everywhere(raw: Raw, path: str) -> Iterator[FieldError]:
    for name in _UNSUPPORTED:
        if raw.get(name):
            yield forbidden(f"{path}.{name}", f"{name} is not supported")
    if raw.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", text)
    if raw.get("additionalProperties") and raw.get("properties"):
        text = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{path}.additionalProperties", text)
    if isinstance(raw.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    if raw.get("pattern"):
        yield from _pattern_faults(raw["pattern"], f"{path}.pattern")
    if raw.get("x-kubernetes-preserve-unknown-fields") is False:
        yield invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")


def _pattern_faults(pattern: str, path: str) -> Iterator[FieldError]:
    try:
        re2.compile(pattern, _QUIET)
    except re2.error as fault:
        reason = fault.args[0] if fault.args else ""
        reason = reason.decode() if isinstance(reason, bytes) else str(reason)
        yield invalid(path, pattern, f"must be a valid regular expression, but isn't: error parsing regexp: {reason}")


def _type_faults(raw: Raw, path: str, is_root: bool) -> Iterator[FieldError]:
    kind = raw.get("type", "")
    if not kind:
        markers = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string")
        if not is_root and not any(raw.get(marker) for marker in markers):
            yield required(f"{path}.type", "must not be empty for specified object fields")
    elif kind not in TYPES:
        yield _one_of(f"{path}.type", kind, TYPES)
    if kind == "array" and not raw.get("items"):
        yield required(f"{path}.items", "must be specified")
    if raw.get("x-kubernetes-embedded-resource"):
        if kind != "object":
            yield invalid(f"{path}.type", kind, "must be object if x-kubernetes-embedded-resource is true")
        if not raw.get("properties") and not raw.get("x-kubernetes-preserve-unknown-fields"):
            text = "must not be empty if x-kubernetes-embedded-resource is true without "
            text += "x-kubernetes-preserve-unknown-fields"
            yield required(f"{path}.properties", text)


def _one_of(path: str, value: str, supported: tuple[str, ...]) -> FieldError:
    """In the given order, unlike `not_supported`."""
    listed = ", ".join(f'"{s}"' for s in supported)
    return FieldError(path, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {listed}')


def _identity_faults(properties: Mapping[str, Raw], path: str, is_root: bool) -> Iterator[FieldError]:
    """Of apiVersion, kind and metadata the server knows more than any schema."""
    for name in ("apiVersion", "kind"):
        kind = properties.get(name, {}).get("type", "string")
        if kind != "string":
            yield invalid(f"{path}.properties[{name}].type", kind, "must be string")
    metadata = properties.get("metadata")
    if metadata is None:
        return
    here = f"{path}.properties[metadata]"
    if metadata.get("type", "object") != "object":
        yield invalid(f"{here}.type", metadata.get("type"), "must be object")
    others = {k: v for k, v in metadata.items() if k not in ("type", "description", "properties")}
    if any(others.values()) or set(metadata.get("properties") or ()) - {"name", "generateName"}:
        text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden(here, text)


def _list_faults(raw: Raw, path: str) -> Iterator[FieldError]:
    list_type, keys = raw.get("x-kubernetes-list-type"), raw.get("x-kubernetes-list-map-keys") or []
    if list_type is not None:
        if raw.get("type") != "array":
            yield invalid(f"{path}.type", raw.get("type", ""), "must be array if x-kubernetes-list-type is specified")
        if list_type not in ("atomic", "set", "map"):
            yield _one_of(f"{path}.x-kubernetes-list-type", list_type, ("atomic", "set", "map"))
    if keys and list_type != "map":
        text = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield invalid(f"{path}.x-kubernetes-list-type", list_type, text)
    items = raw.get("items")
    if list_type == "map":
        if not keys:
            yield required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
        if isinstance(items, dict):
            yield from _map_list_faults(items, keys, path)
    elif list_type == "set" and isinstance(items, dict):
        yield from _set_item_faults(items, f"{path}.items")


def _set_item_faults(items: Raw, path: str) -> Iterator[FieldError]:
    """What is compared as a whole is owned as a whole."""
    text = "must be atomic as item of a list with x-kubernetes-list-type=set"
    if items.get("nullable"):
        yield forbidden(f"{path}.nullable", "cannot be nullable when x-kubernetes-list-type is set")
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        yield invalid(f"{path}.x-kubernetes-map-type", items.get("x-kubernetes-map-type"), text)
    if items.get("type") == "array" and items.get("x-kubernetes-list-type", "atomic") != "atomic":
        yield invalid(f"{path}.x-kubernetes-list-type", items.get("x-kubernetes-list-type"), text)


def _map_list_faults(items: Raw, keys: list[str], path: str) -> Iterator[FieldError]:
    if items.get("type") != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        yield invalid(f"{path}.items.type", items.get("type", ""), text)
    if items.get("nullable"):
        yield forbidden(f"{path}.items.nullable", "cannot be nullable when x-kubernetes-list-type is map")
    properties: Mapping[str, Raw] = items.get("properties") or {}
    for key in keys:
        if key not in properties:
            text = "entries must all be names of item properties"
            yield invalid(f"{path}.x-kubernetes-list-map-keys", keys, text)
            continue
        here, known = f"{path}.items.properties[{key}]", properties[key]
        if known.get("type") in ("array", "object"):
            text = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield invalid(f"{here}.type", known["type"], text)
        if known.get("nullable"):
            text = "cannot be nullable for map keys"
            yield forbidden(f"{here}.nullable", text)
        if key not in (items.get("required") or ()) and known.get("default") is None:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield required(f"{here}.default", text)


def _map_faults(raw: Raw, path: str) -> Iterator[FieldError]:
    map_type = raw.get("x-kubernetes-map-type")
    if map_type is None:
        return
    if raw.get("type") != "object":
        yield invalid(f"{path}.type", raw.get("type", ""), "must be object if x-kubernetes-map-type is specified")
    if map_type not in ("atomic", "granular"):
        yield _one_of(f"{path}.x-kubernetes-map-type", map_type, ("atomic", "granular"))


def _named_outside(inner: Raw, outer: Raw, inner_path: str, outer_path: str) -> Iterator[FieldError]:
    """What a junctor speaks of must be declared outside of it."""
    declared = outer.get("properties") or {}
    for name, child in (inner.get("properties") or {}).items():
        if name not in declared:
            if not outer.get("x-kubernetes-preserve-unknown-fields") and not outer.get("additionalProperties"):
                text = f"because it is defined in {inner_path}.properties[{name}]"
                yield required(f"{outer_path}.properties[{name}]", text)
        else:
            here = f"properties[{name}]"
            yield from _named_outside(child, declared[name], f"{inner_path}.{here}", f"{outer_path}.{here}")
    if isinstance(inner.get("items"), dict):
        if not isinstance(outer.get("items"), dict):
            yield required(f"{outer_path}.items", f"because it is defined in {inner_path}.items")
        else:
            yield from _named_outside(inner["items"], outer["items"], f"{inner_path}.items", f"{outer_path}.items")
    for child, here in _junctors(inner, inner_path):
        yield from _named_outside(child, outer, here, outer_path)

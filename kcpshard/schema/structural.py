"""A CRD's OpenAPI v3 schema as a structural schema, or the reasons why it is not one.

Decides what may be written in a schema (KEP-1693, apiextensions `validation.go`) and builds the tree that pruning,
defaulting, validation, patches and apply walk. Leaves CEL rules to their own module: here they are only carried along.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kcpshard.api.errors import FieldError, forbidden, invalid, not_supported, required

Raw = Mapping[str, Any]
TYPES = ("array", "boolean", "integer", "number", "object", "string")
_FORBIDDEN = {
    "$ref": "$ref is not supported", "$schema": "$schema is not supported", "id": "id is not supported",
    "definitions": "definitions is not supported", "dependencies": "dependencies is not supported",
    "patternProperties": "patternProperties is not supported", "additionalItems": "additionalItems is not supported",
}  # fmt: skip
_NOT_IN_JUNCTORS = (
    "type", "additionalProperties", "default", "nullable", "description", "title", "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-validations",
)  # fmt: skip
_JUNCTORS = ("allOf", "anyOf", "oneOf")
VALIDATIONS = (
    "enum", "format", "maxItems", "maxLength", "maxProperties", "maximum", "exclusiveMaximum", "minItems", "minLength",
    "minProperties", "minimum", "exclusiveMinimum", "multipleOf", "pattern", "uniqueItems",
)  # fmt: skip


class Structural:
    """One value's schema. Never changed once built, and shared.

    `properties` and `values` (additionalProperties) exclude each other; `rules` are the value validations that came
    with the node (`VALIDATIONS`, required, junctors), as raw as they were written. Children are built when somebody
    first looks at them: of a large schema objects use little.
    """

    __slots__ = (
        "_defaulted", "_has_inner_defaults", "_items", "_properties", "_raw", "_values", "check", "default", "embedded",
        "has_default", "int_or_string", "list_map_keys", "list_type", "map_type", "merge_key", "nullable",
        "patch_strategy", "preserve_unknown", "required", "rules", "type", "validations",
    )  # fmt: skip

    def __init__(self, raw: Raw) -> None:
        self._raw: Raw = raw
        self.type: str = raw.get("type", "")
        self.nullable = bool(raw.get("nullable"))
        self.int_or_string = bool(raw.get("x-kubernetes-int-or-string"))
        self.embedded = bool(raw.get("x-kubernetes-embedded-resource"))
        self.preserve_unknown = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
        self.has_default = "default" in raw and raw["default"] is not None
        self.default: Any = raw.get("default")
        self.required: tuple[str, ...] = tuple(raw.get("required") or ())
        self.list_map_keys: tuple[str, ...] = tuple(raw.get("x-kubernetes-list-map-keys") or ())
        self.list_type: str = raw.get("x-kubernetes-list-type") or ""
        self.map_type: str = raw.get("x-kubernetes-map-type") or ""
        self.validations: tuple[Raw, ...] = tuple(raw.get("x-kubernetes-validations") or ())
        self.rules: dict[str, Any] = {k: raw[k] for k in (*VALIDATIONS, *_JUNCTORS, "not") if raw.get(k) is not None}
        self._properties: dict[str, Structural] | None = None
        self._items: Structural | None = None
        self._values: Structural | None = None
        self._defaulted: tuple[tuple[str, Structural], ...] | None = None
        self._has_inner_defaults: bool | None = None
        # The node as a predicate, made by `validation` at its first use.
        self.check: Callable[[Any], bool] | None = None
        # How strategic merge patch treats a list that has map keys (built-in kinds served as CRDs).
        self.merge_key: str = self.list_map_keys[0] if self.list_type == "map" and self.list_map_keys else ""
        self.patch_strategy: str = "merge" if self.list_type in ("map", "set") else ""

    @property
    def properties(self) -> "dict[str, Structural] | None":
        found = self._properties
        if found is None and (raw := self._raw.get("properties")):
            found = self._properties = {name: Structural(child) for name, child in raw.items()}
        return found

    @property
    def items(self) -> "Structural | None":
        found = self._items
        if found is None and isinstance(raw := self._raw.get("items"), dict):
            found = self._items = Structural(raw)
        return found

    @property
    def values(self) -> "Structural | None":
        found = self._values
        if found is None and (raw := self._raw.get("additionalProperties")):
            found = self._values = ANYTHING if raw is True else Structural(raw)
        return found

    @property
    def defaulted(self) -> "tuple[tuple[str, Structural], ...]":
        """The properties that have a default."""
        found = self._defaulted
        if found is None:
            children = (self.properties or {}).items()
            found = self._defaulted = tuple((name, child) for name, child in children if child.has_default)
        return found

    @property
    def has_inner_defaults(self) -> bool:
        """Whether there is a default anywhere below."""
        found = self._has_inner_defaults
        if found is None:
            found = self._has_inner_defaults = _has_inner_defaults(self._raw)
        return found

    def child(self, name: str) -> "Structural | None":
        properties = self.properties
        if properties is not None and name in properties:
            return properties[name]
        return self.values


def _has_inner_defaults(raw: Raw) -> bool:
    children = [*(raw.get("properties") or {}).values(), raw.get("items"), raw.get("additionalProperties")]
    return any(isinstance(c, dict) and (c.get("default") is not None or _has_inner_defaults(c)) for c in children)


ANYTHING = Structural({"x-kubernetes-preserve-unknown-fields": True})


def structural(raw: Raw) -> Structural:
    """The tree of a schema that `faults` has found nothing wrong with."""
    return Structural(raw)


def faults(raw: Raw, path: str) -> list[FieldError]:
    """Every reason why the schema at `path` may not be in a CRD; empty if it is structural."""
    found = list(_at_root(raw, path))
    found += _walk(raw, path, junctor=False, root=True)
    return found


def _at_root(raw: Raw, path: str) -> Iterator[FieldError]:
    if raw.get("type") and raw["type"] != "object":
        yield invalid(f"{path}.type", raw["type"], "must be object at the root")
    elif not raw.get("type"):
        yield required(f"{path}.type", "must not be empty at the root")
    if raw.get("nullable"):
        yield forbidden(f"{path}.nullable", "nullable cannot be true at the root")


def _walk(raw: Raw, path: str, junctor: bool, root: bool = False) -> Iterator[FieldError]:
    yield from _unsupported(raw, path)
    if junctor:
        for name in _NOT_IN_JUNCTORS:
            if raw.get(name) not in (None, "", False, [], ()):
                yield forbidden(f"{path}.{name}", "must be empty to be structural")
    else:
        yield from _type_faults(raw, path, root)
        yield from _list_and_map_faults(raw, path)
    for name, child in (raw.get("properties") or {}).items():
        yield from _walk(child, f"{path}.properties[{name}]", junctor)
    items = raw.get("items")
    if isinstance(items, dict):
        yield from _walk(items, f"{path}.items", junctor)
    values = raw.get("additionalProperties")
    if isinstance(values, dict) and not junctor:
        yield from _walk(values, f"{path}.additionalProperties", junctor)
    for name in _JUNCTORS:
        for place, child in enumerate(raw.get(name) or ()):
            yield from _walk(child, f"{path}.{name}[{place}]", True)
            yield from _named_outside(child, raw, f"{path}.{name}[{place}]", path)
    if raw.get("not"):
        yield from _walk(raw["not"], f"{path}.not", True)
        yield from _named_outside(raw["not"], raw, f"{path}.not", path)


def _unsupported(raw: Raw, path: str) -> Iterator[FieldError]:
    for name, text in _FORBIDDEN.items():
        if raw.get(name):
            yield forbidden(f"{path}.{name}", text)
    if raw.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", text)
    if raw.get("additionalProperties") is False:
        yield forbidden(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
    if raw.get("additionalProperties") and raw.get("properties"):
        text = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{path}.additionalProperties", text)
    if isinstance(raw.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")


def _type_faults(raw: Raw, path: str, root: bool) -> Iterator[FieldError]:
    kind = raw.get("type", "")
    if raw.get("x-kubernetes-int-or-string"):
        if kind:
            yield invalid(f"{path}.type", kind, "must be empty if x-kubernetes-int-or-string is true")
    elif not kind:
        if not root and not raw.get("x-kubernetes-preserve-unknown-fields"):
            yield required(f"{path}.type", "must not be empty for specified object fields")
    elif kind not in TYPES:
        yield not_supported(f"{path}.type", kind, TYPES)
    if kind == "array" and not raw.get("items"):
        yield required(f"{path}.items", "must be specified")
    if raw.get("x-kubernetes-embedded-resource"):
        if kind != "object":
            yield invalid(f"{path}.type", kind, "must be object if x-kubernetes-embedded-resource is true")
        if not raw.get("properties") and not raw.get("x-kubernetes-preserve-unknown-fields"):
            yield required(f"{path}.properties", "must not be empty if x-kubernetes-embedded-resource is true without "
                           "x-kubernetes-preserve-unknown-fields")  # fmt: skip


def _list_and_map_faults(raw: Raw, path: str) -> Iterator[FieldError]:
    list_type, keys = raw.get("x-kubernetes-list-type"), raw.get("x-kubernetes-list-map-keys") or []
    if list_type is not None:
        if raw.get("type") != "array":
            yield invalid(f"{path}.type", raw.get("type", ""), "must be array if x-kubernetes-list-type is specified")
        if list_type not in ("atomic", "set", "map"):
            yield not_supported(f"{path}.x-kubernetes-list-type", list_type, ["atomic", "map", "set"])
    if keys and list_type != "map":
        text = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield invalid(f"{path}.x-kubernetes-list-type", list_type, text)
    if list_type == "map":
        yield from _map_list_faults(raw, keys, path)
    map_type = raw.get("x-kubernetes-map-type")
    if map_type is not None:
        if raw.get("type") != "object":
            yield invalid(f"{path}.type", raw.get("type", ""), "must be object if x-kubernetes-map-type is specified")
        if map_type not in ("atomic", "granular"):
            yield not_supported(f"{path}.x-kubernetes-map-type", map_type, ["atomic", "granular"])


def _map_list_faults(raw: Raw, keys: list[str], path: str) -> Iterator[FieldError]:
    if not keys:
        yield required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    items = raw.get("items")
    if not isinstance(items, dict):
        return
    if items.get("type") != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        yield invalid(f"{path}.items.type", items.get("type", ""), text)
    properties = items.get("properties") or {}
    for place, key in enumerate(keys):
        if key not in properties:
            text = "entries must all be names of item properties"
            yield invalid(f"{path}.x-kubernetes-list-map-keys[{place}]", key, text)
        elif properties[key].get("type") in ("array", "object"):
            text = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield invalid(f"{path}.items.properties[{key}].type", properties[key]["type"], text)
        elif key not in items.get("required", ()) and properties[key].get("default") is None:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield required(f"{path}.items.properties[{key}].default", text)


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

"""A CRD's OpenAPI v3 schema as the tree that pruning, defaulting, validation, patches and apply walk.

Expects a schema that `structural_faults` finds nothing wrong with. Leaves CEL rules to their own package: here they are
only carried along.
"""

from collections.abc import Callable, Mapping
from typing import Any

Raw = Mapping[str, Any]
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


ANYTHING = Structural({"x-kubernetes-preserve-unknown-fields": True, "nullable": True})


def structural(raw: Raw) -> Structural:
    """The tree of a schema that `faults` has found nothing wrong with."""
    return Structural(raw)

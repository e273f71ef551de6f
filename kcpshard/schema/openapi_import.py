"""A kind's schema out of a cluster's OpenAPI document (version 2 or 3), as a structural schema for a CRD. Pure.

What OpenAPI cannot say of built-in kinds is known here: which strings are quantities, what holds anything, which lists
are maps. Where a schema refers to itself, anything is allowed from there on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kcpshard.schema.value_rules import IDIOM

Raw = Mapping[str, Any]
GROUP_VERSION_KIND = "x-kubernetes-group-version-kind"
_QUANTITY = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
_ANY_OBJECT = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_INT_OR_STRING = {"x-kubernetes-int-or-string": True, "anyOf": IDIOM}
# By the end of a definition's name.
_KNOWN: Mapping[str, Raw] = {
    "meta.v1.ObjectMeta": _ANY_OBJECT,  # of templates: must not be pruned
    "meta.v1.Time": {"type": "string", "format": "date-time"},
    "meta.v1.MicroTime": {"type": "string", "format": "date-time"},
    "meta.v1.Duration": {"type": "string"},
    "meta.v1.FieldsV1": _ANY_OBJECT,
    "api.resource.Quantity": {**_INT_OR_STRING, "pattern": _QUANTITY},
    "util.intstr.IntOrString": _INT_OR_STRING,
    "runtime.RawExtension": _ANY_OBJECT,
}
_KEPT = (
    "format", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "nullable",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "x-kubernetes-map-type",
)  # fmt: skip


def definitions_of(document: Raw) -> Mapping[str, Raw]:
    """The schemas of an OpenAPI document by name."""
    if "definitions" in document:
        found: Mapping[str, Raw] = document["definitions"]
        return found
    return (document.get("components") or {}).get("schemas") or {}


def definition_name(definitions: Mapping[str, Raw], group: str, version: str, kind: str) -> str | None:
    """Which definition is the kind's."""
    wanted = {"group": group, "version": version, "kind": kind}
    for name, definition in definitions.items():
        if wanted in (definition.get(GROUP_VERSION_KIND) or ()):
            return name
    return None


def structural_schema(definitions: Mapping[str, Raw], name: str) -> dict[str, Any]:
    """Of a whole object. Raises KeyError for a name that is not defined."""
    found = _Import(definitions).of_definition(name, ())
    properties = found.setdefault("properties", {})
    for known in ("apiVersion", "kind"):
        properties[known] = {"type": "string"}
    properties["metadata"] = {"type": "object"}
    found.pop("x-kubernetes-preserve-unknown-fields", None)
    required = [each for each in found.get("required") or () if each not in ("apiVersion", "kind", "metadata")]
    found.pop("required", None)
    return {**found, **({"required": required} if required else {})}


def first_sentence(text: str) -> str:
    """Descriptions are shortened: they are most of a document, and imports are stored for each cluster."""
    head, _, _ = text.partition("\n")
    head, stop, _ = head.partition(". ")
    return head + stop.strip()


class _Import:
    def __init__(self, definitions: Mapping[str, Raw]) -> None:
        self._definitions = definitions

    def of_definition(self, name: str, within: tuple[str, ...]) -> dict[str, Any]:
        """`within`: the definitions that lead here."""
        for ending, known in _KNOWN.items():
            if name.endswith(ending):
                return dict(known)
        if name in within or name.rpartition(".")[2] in ("JSON", "JSONSchemaProps", "Unstructured"):
            return {"x-kubernetes-preserve-unknown-fields": True}
        return self.of(self._definitions[name], (*within, name))

    def of(self, node: Raw, within: tuple[str, ...]) -> dict[str, Any]:
        reference, described = _reference(node)
        if reference:
            found = self.of_definition(reference, within)
        elif node.get("format") == "int-or-string" or node.get("x-kubernetes-int-or-string"):
            found = dict(_INT_OR_STRING)
        else:
            found = self._typed(node, within)
        if described:
            found["description"] = first_sentence(described)
        default = node.get("default")
        if default and not isinstance(default, dict | list):  # a zero value is what absence means anyway
            found["default"] = default
        return found

    def _typed(self, node: Raw, within: tuple[str, ...]) -> dict[str, Any]:
        kind = node.get("type") or ("object" if node.get("properties") else "")
        if not kind:
            return {"x-kubernetes-preserve-unknown-fields": True}
        found: dict[str, Any] = {"type": kind, **{key: node[key] for key in _KEPT if node.get(key) is not None}}
        if kind == "object":
            self._object(found, node, within)
        elif kind == "array":
            found["items"] = self.of(node.get("items") or {}, within)
            found["items"].pop("default", None)
            _list_type(found, node)
        return found

    def _object(self, found: dict[str, Any], node: Raw, within: tuple[str, ...]) -> None:
        values = node.get("additionalProperties")
        if node.get("properties"):
            found["properties"] = {name: self.of(child, within) for name, child in node["properties"].items()}
            if node.get("required"):
                found["required"] = list(node["required"])
        elif isinstance(values, dict):
            found["additionalProperties"] = self.of(values, within)
            found["additionalProperties"].pop("default", None)
        elif node.get("x-kubernetes-preserve-unknown-fields") or values is not False:
            found["x-kubernetes-preserve-unknown-fields"] = True
        if node.get("x-kubernetes-embedded-resource"):
            found["x-kubernetes-embedded-resource"] = True


def _reference(node: Raw) -> tuple[str, str]:
    """The name referred to, if any, and the description: the field's own comes first."""
    described = str(node.get("description") or "")
    reference = node.get("$ref")
    if reference is None and len(node.get("allOf") or ()) == 1:  # version 3 wraps a reference to describe it
        reference = node["allOf"][0].get("$ref")
    return (str(reference).rpartition("/")[2] if reference else ""), described


def _list_type(found: dict[str, Any], node: Raw) -> None:
    """As the node says, or as its strategic merge patch would behave."""
    items = found["items"]
    list_type = node.get("x-kubernetes-list-type")
    merge_key = node.get("x-kubernetes-patch-merge-key")
    keys = list(node.get("x-kubernetes-list-map-keys") or ([merge_key] if merge_key else ()))
    if not list_type:
        merges = "merge" in str(node.get("x-kubernetes-patch-strategy") or "").split(",")
        is_object = items.get("type") == "object"
        list_type = ("map" if is_object and keys else "atomic" if is_object else "set") if merges else "atomic"
        if merge_key and is_object and not node.get("x-kubernetes-patch-strategy"):
            list_type = "map"
    if list_type == "map" and not _can_be_keyed(items, keys):
        list_type = "atomic"
    found["x-kubernetes-list-type"] = list_type
    if list_type == "map":
        found["x-kubernetes-list-map-keys"] = keys
        _complete_keys(items, keys)
    elif list_type == "set" and items.get("type") in ("object", "array"):
        found["x-kubernetes-list-type"] = "atomic"


def _can_be_keyed(items: Raw, keys: Sequence[str]) -> bool:
    return bool(keys) and all(key in (items.get("properties") or {}) for key in keys)


def _complete_keys(items: dict[str, Any], keys: Sequence[str]) -> None:
    """A key has a default or is required. That a protocol is TCP unless said, documents of version 2 do not tell."""
    properties = items["properties"]
    required = list(items.get("required") or ())
    for key in keys:
        if key == "protocol" and properties[key].get("default") is None:
            properties[key] = {**properties[key], "default": "TCP"}
        has_default = properties[key].get("default") is not None
        if key not in required and not has_default:
            required.append(key)
        elif key in required and has_default:
            required.remove(key)
    items.pop("required", None)
    if required:
        items["required"] = required

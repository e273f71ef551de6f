"""CustomResourceDefinition in apiextensions.k8s.io/v1beta1, for old manifests; kube-apiserver has stopped serving it.

It is another version of the same stored objects. What v1 wants and v1beta1 did not have is filled in when a manifest
comes in: a type at every place of the schema, and marks that keep unknown fields where v1beta1 kept them
(`preserveUnknownFields`, true unless said otherwise). Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kcpshard.api.errors import FieldError, invalid
from kcpshard.api.requests import Identity
from kcpshard.definitions.contract import Object, Resource, Strategy
from kcpshard.definitions.facts import Schema

GROUP, PLURAL = "apiextensions.k8s.io", "customresourcedefinitions"
V1, V1BETA1 = f"{GROUP}/v1", f"{GROUP}/v1beta1"
_PRESERVE, _INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"
# Said once for all versions, in v1beta1; of each version, in v1: name there → name here.
_COMMON = {
    "validation": "schema", "subresources": "subresources", "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}  # fmt: skip
_WARNING = (
    "apiextensions.k8s.io/v1beta1 CustomResourceDefinition is deprecated in v1.16+, unavailable in v1.22+; use "
    "apiextensions.k8s.io/v1 CustomResourceDefinition"
)


def with_legacy(resources: Sequence[Resource]) -> list[Resource]:
    """The resource types and, behind its newer version, the old one of definitions."""
    found: list[Resource] = []
    for resource in resources:
        found.append(resource)
        if resource.group == GROUP and resource.plural == PLURAL:
            found.append(_legacy_resource(resource))
    return found


def _legacy_resource(current: Resource) -> Resource:
    found = Resource()
    for slot in Resource.__slots__:
        setattr(found, slot, getattr(current, slot))
    found.version, found.api_version, found.deprecation = "v1beta1", V1BETA1, _WARNING
    found.storage_resource = current
    found.schema = _schema(current.schema)
    found.strategy = LegacyStrategy(current.strategy)
    return found


# --- objects


def to_current(obj: Object) -> Object:
    """A v1beta1 definition, complete in types, as one of v1. A new object that may share parts with `obj`."""
    spec: Object = dict(obj.get("spec") or {})
    keeps_unknown = spec.pop("preserveUnknownFields", None) is not False
    version = spec.pop("version", None)
    common = {name: spec.pop(old, None) for old, name in _COMMON.items()}
    named = spec.get("versions") or ([{"name": version, "served": True, "storage": True}] if version else [])
    spec["versions"] = [_current_version(given, common, keeps_unknown) for given in named]
    spec["scope"] = spec.get("scope") or "Namespaced"
    if (conversion := spec.get("conversion")) is not None:
        spec["conversion"] = _current_conversion(conversion)
    return {**obj, "apiVersion": V1, "spec": spec}


def _current_version(given: Object, common: Mapping[str, Any], keeps_unknown: bool) -> Object:
    version = dict(given)
    for name, value in common.items():
        if version.get(name) is None and value is not None:
            version[name] = value
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    root = _typed(schema or {}, keeps_unknown)
    root["type"] = root.get("type") or "object"
    if keeps_unknown or not schema:
        root[_PRESERVE] = True
    version["schema"] = {"openAPIV3Schema": root}
    if columns := version.get("additionalPrinterColumns"):
        version["additionalPrinterColumns"] = [_renamed(column, "JSONPath", "jsonPath") for column in columns]
    return version


def _typed(schema: Any, keeps_unknown: bool) -> Any:
    """With a type wherever v1 wants one, and with marks where unknown fields stay."""
    if not isinstance(schema, dict):
        return schema
    found = dict(schema)
    if not found.get("type") and not found.get(_INT_OR_STRING) and not found.get(_PRESERVE):
        if "properties" in found or "additionalProperties" in found:
            found["type"] = "object"
        elif "items" in found:
            found["type"] = "array"
        else:
            found[_PRESERVE] = True
    if keeps_unknown and found.get("type") == "object" and "additionalProperties" not in found:
        found[_PRESERVE] = True
    if isinstance(found.get("properties"), dict):
        found["properties"] = {name: _typed(child, keeps_unknown) for name, child in found["properties"].items()}
    for member in ("items", "additionalProperties"):
        if member in found:
            found[member] = _typed(found[member], keeps_unknown)
    return found


def _current_conversion(given: Object) -> Object:
    conversion: Object = {"strategy": given.get("strategy") or "None"}
    client, versions = given.get("webhookClientConfig"), given.get("conversionReviewVersions")
    if client is not None or versions is not None or conversion["strategy"] == "Webhook":
        conversion["webhook"] = {"conversionReviewVersions": versions or ["v1beta1"]}
        if client is not None:
            conversion["webhook"]["clientConfig"] = client
    return conversion


def to_legacy(obj: Object) -> Object:
    """A v1 definition as one of v1beta1: what all versions have in common is said once."""
    spec: Object = dict(obj.get("spec") or {})
    versions = [_legacy_version(version) for version in spec.get("versions") or ()]
    for old, name in _COMMON.items():
        values = [version.get(name) for version in versions]
        if values and values[0] is not None and all(value == values[0] for value in values):
            spec[old] = values[0]
            for version in versions:
                del version[name]
    if versions:
        spec["version"] = versions[0]["name"]
    spec["versions"] = versions
    spec["preserveUnknownFields"] = bool(spec.get("preserveUnknownFields"))
    if (conversion := spec.get("conversion")) is not None:
        hook = conversion.get("webhook") or {}
        given = {"webhookClientConfig": hook.get("clientConfig")}
        given["conversionReviewVersions"] = hook.get("conversionReviewVersions")
        spec["conversion"] = {"strategy": conversion["strategy"], **{k: v for k, v in given.items() if v is not None}}
    return {**obj, "apiVersion": V1BETA1, "spec": spec}


def _legacy_version(given: Object) -> Object:
    version = dict(given)
    if columns := version.get("additionalPrinterColumns"):
        version["additionalPrinterColumns"] = [_renamed(column, "jsonPath", "JSONPath") for column in columns]
    return version


def _renamed(obj: Object, old: str, new: str) -> Object:
    return {new if name == old else name: value for name, value in obj.items()}


# --- strategy


class LegacyStrategy:
    """The contract's Strategy: everything is decided as of v1."""

    def __init__(self, current: Strategy) -> None:
        self._current = current
        self.field_names = current.field_names

    def attribute(self, obj: Object, identity: Identity) -> None:
        self._current.attribute(obj, identity)

    def default(self, obj: Object) -> None:
        spec = obj["spec"]
        spec["scope"] = spec.get("scope") or "Namespaced"
        if not spec.get("versions") and spec.get("version"):
            spec["versions"] = [{"name": spec["version"], "served": True, "storage": True}]
        elif spec.get("versions") and not spec.get("version"):
            spec["version"] = spec["versions"][0]["name"]
        if spec.get("preserveUnknownFields") is None:
            spec["preserveUnknownFields"] = True
        service = ((spec.get("conversion") or {}).get("webhookClientConfig") or {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443
        self._current.default(obj)

    def prepare_create(self, obj: Object) -> None:
        self._current.prepare_create(obj)

    def prepare_update(self, new: Object, old: Object, subresource: str) -> None:
        self._current.prepare_update(new, old, subresource)

    def validate_create(self, obj: Object) -> list[FieldError]:
        return [*_version_faults(obj), *self._current.validate_create(to_current(obj))]

    def validate_update(self, new: Object, old: Object, subresource: str) -> list[FieldError]:
        found = self._current.validate_update(to_current(new), to_current(old), subresource)
        return found if subresource else [*_version_faults(new), *found]

    def early_warnings(self, obj: Object) -> list[str]:
        return self._current.early_warnings(obj)

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        return self._current.warnings(obj, old)

    def selectable_fields(self, obj: Object) -> Mapping[str, str]:
        return self._current.selectable_fields(obj)

    def has_empties(self, obj: Object) -> bool:
        return False

    def has_generation(self) -> bool:
        return self._current.has_generation()

    def graceful(self, obj: Object, grace_period_s: int | None) -> int:
        return self._current.graceful(obj, grace_period_s)


def _version_faults(obj: Object) -> list[FieldError]:
    spec = obj["spec"]
    version, versions = spec.get("version"), spec.get("versions") or ()
    if version and versions and versions[0].get("name") != version:
        return [invalid("spec.version", version, "must match the first version in spec.versions")]
    return []


# --- the structure of its fields


def _schema(current: Schema) -> Schema:
    spec = current.properties["spec"] if current.properties else None
    assert spec is not None
    assert spec.properties is not None
    versions = spec.properties["versions"]
    assert versions.items is not None
    assert versions.items.properties is not None
    of_version = dict(versions.items.properties)
    of_version["additionalPrinterColumns"] = _columns(of_version["additionalPrinterColumns"])
    old_version = _with_properties(versions.items, of_version)
    old_versions = versions.copy()
    old_versions.items, old_versions.omit_empty = old_version, True
    names, keeps_unknown = spec.properties["names"], spec.properties["preserveUnknownFields"].copy()
    assert names.properties is not None
    keeps_unknown.omit_empty = False  # false is not the default
    properties = {
        **spec.properties,
        "preserveUnknownFields": keeps_unknown,
        "version": names.properties["singular"],  # a plain text too
        "versions": old_versions,
        "conversion": _conversion(spec.properties["conversion"]),
        **{old: of_version[name] for old, name in _COMMON.items()},
    }
    old_spec = _with_properties(spec, properties)
    old_spec.emitted = tuple((name, value) for name, value in spec.emitted if name != "versions")
    return _with_properties(current, {**(current.properties or {}), "spec": old_spec})


def _columns(current: Schema) -> Schema:
    assert current.items is not None
    columns = current.copy()
    properties = _renamed(current.items.properties or {}, "jsonPath", "JSONPath")
    columns.items = _with_properties(current.items, properties)
    columns.items.emitted = tuple(
        ("JSONPath" if name == "jsonPath" else name, value) for name, value in current.items.emitted
    )
    return columns


def _conversion(current: Schema) -> Schema:
    assert current.properties is not None
    hook = current.properties["webhook"].properties or {}
    return _with_properties(
        current,
        {
            "strategy": current.properties["strategy"],
            "webhookClientConfig": hook["clientConfig"],
            "conversionReviewVersions": hook["conversionReviewVersions"],
        },
    )


def _with_properties(schema: Schema, properties: Mapping[str, Schema]) -> Schema:
    twin = schema.copy()
    twin.properties = dict(properties)
    twin.required = tuple(name for name in schema.required if name in properties and name != "versions")
    twin.go_type = schema.go_type.replace("v1.", "v1beta1.", 1)
    return twin

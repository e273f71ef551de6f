"""Custom resource types in the OpenAPI documents: a definition's schemas as published ones. Pure, but slow.

Version 3 says all that a structural schema says. Version 2 cannot, and is read by old clients that refuse what they do
not understand: there a node that keeps unknown fields or may be null says nothing of its inside (apiextensions
`ToStructuralOpenAPIV2`).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from kcpshard.definitions import provided
from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.contract import Object, Resource
from kcpshard.definitions.crd_documents import summary
from kcpshard.definitions.custom_resources import Definition
from kcpshard.definitions.facts import META
from kcpshard.definitions.openapi import V2, group_version_path, version_2, version_3
from kcpshard.definitions.operations import definition_name, kind_extension

BUILDER = 1  # raise it when the same definitions are rendered differently
_KIND = "x-kubernetes-group-version-kind"
_LINKS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_API_VERSION = {
    "description": "APIVersion defines the versioned schema of this representation of an object. Servers should "
    "convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: "
    f"{_LINKS}#resources",
    "type": "string",
}
_KIND_MEMBER = {
    "description": "Kind is a string value representing the REST resource this object represents. Servers may infer "
    "this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
    f"{_LINKS}#types-kinds",
    "type": "string",
}


def document_hash(path: str, api_set: str, digests: Iterable[str]) -> str:
    """Changes whenever the document at `path` does, whose definitions have these digests."""
    parts = f"custom {BUILDER} {api_set} {path} {' '.join(sorted(digests))}"
    return hashlib.sha512(parts.encode()).hexdigest().upper()


def chosen_set(api_set: str, resources: Iterable[Resource]) -> str:
    """Some built-in types of the set, for `build`."""
    return f"{api_set}|{','.join(sorted({f'{each.plural}.{each.group}' for each in resources}))}"


def build(api_set: str, path: str, definitions: Sequence[Object]) -> bytes:
    """The document at `path` of a logical cluster that serves the API set, what is provided, and these definitions. An
    API set with a choice (`chosen_set`) is that choice of it and nothing provided."""
    api_set, has_choice, choice = api_set.partition("|")
    custom: list[Resource] = []
    own: dict[str, Any] = {}
    for obj in (*(() if has_choice else provided.documents().values()), *definitions):
        resources = Definition(summary(obj)).resources
        for raw in obj["spec"]["versions"]:
            if (resource := resources.get(raw["name"])) is not None:
                custom.append(resource)
                own |= _published(resource, raw, is_v2=path == V2)
    resources_of_set = builtin_resources(api_set)
    if has_choice:
        chosen = frozenset(choice.split(","))
        resources_of_set = [each for each in resources_of_set if f"{each.plural}.{each.group}" in chosen]
    if path == V2:
        return orjson.dumps(version_2([*resources_of_set, *custom], own))
    here = [r for r in (*resources_of_set, *custom) if group_version_path(r) == path]
    return orjson.dumps(version_3(here, own))


def _published(resource: Resource, raw: Mapping[str, Any], is_v2: bool) -> dict[str, Any]:
    """The type and its list, by definition name; references are "#/<name>"."""
    schema = (raw.get("schema") or {}).get("openAPIV3Schema")
    if schema is None or (is_v2 and schema.get("x-kubernetes-preserve-unknown-fields")):
        shown: dict[str, Any] = {"type": "object"}
    else:
        shown = _shown(schema, is_v2)
        shown["properties"] = {**_identity("Standard object's metadata."), **_others(shown)}
    shown[_KIND] = [kind_extension((resource.group, resource.version, resource.kind))]
    name = definition_name(resource.group, resource.version, resource.kind)
    list_name = definition_name(resource.group, resource.version, resource.list_kind)
    return {name: shown, list_name: _list(resource, name)}


def _others(shown: Mapping[str, Any]) -> dict[str, Any]:
    found = shown.get("properties") or {}
    return {n: s for n, s in found.items() if n not in ("apiVersion", "kind", "metadata")}


def _identity(described: str) -> dict[str, Any]:
    link = f"{described} More info: {_LINKS}#metadata"
    metadata = {"description": link, "allOf": [{"$ref": f"#/{META}ObjectMeta"}]}
    return {"apiVersion": _API_VERSION, "kind": _KIND_MEMBER, "metadata": metadata}


def _list(resource: Resource, name: str) -> dict[str, Any]:
    items = {
        "description": f"List of {resource.plural}. More info: {_LINKS}",
        "type": "array",
        "items": {"$ref": f"#/{name}"},
    }
    metadata = {
        "description": f"Standard list metadata. More info: {_LINKS}#types-kinds",
        "allOf": [{"$ref": f"#/{META}ListMeta"}],
    }
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {"apiVersion": _API_VERSION, "items": items, "kind": _KIND_MEMBER, "metadata": metadata},
        _KIND: [kind_extension((resource.group, resource.version, resource.list_kind))],
    }


_JUNCTORS = ("allOf", "anyOf", "oneOf")
_NOT_IN_V2 = ("default", "nullable", "not", "x-kubernetes-validations", *_JUNCTORS)


def _shown(raw: Mapping[str, Any], is_v2: bool) -> dict[str, Any]:
    found = {k: v for k, v in raw.items() if not (is_v2 and k in _NOT_IN_V2)}
    if is_v2 and raw.get("nullable"):
        found.pop("type", None)
    if is_v2 and (raw.get("nullable") or raw.get("x-kubernetes-preserve-unknown-fields")):
        for member in ("items", "properties", "additionalProperties"):
            found.pop(member, None)
    if "properties" in found:
        found["properties"] = {name: _shown(child, is_v2) for name, child in found["properties"].items()}
    for member in ("items", "additionalProperties", "not"):
        if isinstance(found.get(member), dict):
            found[member] = _shown(found[member], is_v2)
    for member in _JUNCTORS:
        if member in found:
            found[member] = [_shown(child, is_v2) for child in found[member]]
    if raw.get("x-kubernetes-int-or-string") and not is_v2 and "anyOf" not in found:
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if raw.get("x-kubernetes-embedded-resource") and not (is_v2 and raw.get("x-kubernetes-preserve-unknown-fields")):
        found["properties"] = {**_identity("Standard object's metadata."), **_others(found)}
        found["required"] = [*found.get("required", ()), "apiVersion", "kind"]
    return found

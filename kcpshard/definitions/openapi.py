"""The OpenAPI documents of an API set, versions 2 and 3: rendering operations and definitions. Pure, but slow.

Building takes tens of milliseconds and some megabytes, so a shard lets `openapi_worker` do it in a process of its own.
What the index needs (a hash per document) is known without building: it is derived from everything that goes in.
Descriptions come from the package kubernetes-validate; without a matching release of it documents have none.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

import orjson

from kcpshard.definitions import facts
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.facts import META
from kcpshard.definitions.operations import (
    PATCH_TYPES,
    Operation,
    Parameter,
    kind_extension,
    operations,
    tag_of,
)

BUILDER = 1  # raise it when the same facts are rendered differently
V2 = "/openapi/v2"
_MEDIA = ("application/json", "application/yaml")
_STREAM = ("application/json;stream=watch",)
_SECURITY = {
    "type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"
}  # fmt: skip
_KIND = "x-kubernetes-group-version-kind"
_NOTHING: Mapping[str, Any] = {}


def document_paths(resources: Iterable[Resource]) -> list[str]:
    """The paths of all documents, index excepted."""
    return [V2, *dict.fromkeys(f"/openapi/v3{_root(r)}" for r in resources)]


def document_hash(path: str, api_set: str) -> str:
    """Changes whenever the document at `path` does. Upper case hexadecimal, as kube-apiserver's."""
    return hashlib.sha512(_ingredients() + f"{api_set} {path}".encode()).hexdigest().upper()


@cache
def _ingredients() -> bytes:
    """A digest of what goes into every document."""
    facts_digest = hashlib.sha512(facts.DATA.read_bytes()).digest()
    return facts_digest + f"{BUILDER} {_descriptions_version()} ".encode()


def index(hashes: Mapping[str, str]) -> bytes:
    """/openapi/v3: where the documents are. `hashes` is by path."""
    paths = {}
    for path, hash_ in hashes.items():
        if path != V2:
            paths[path.removeprefix("/openapi/v3/")] = {"serverRelativeURL": f"{path}?hash={hash_}"}
    return orjson.dumps({"paths": paths})


def build(resources: Sequence[Resource], path: str) -> bytes:
    """The document at one of `document_paths`."""
    if path == V2:
        return orjson.dumps(version_2(resources))
    return orjson.dumps(version_3([r for r in resources if f"/openapi/v3{_root(r)}" == path]))


def group_version_path(resource: Resource) -> str:
    """Where the document of its group version is."""
    return f"/openapi/v3{_root(resource)}"


def _root(resource: Resource) -> str:
    return f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"


# --- definitions


def _descriptions_version() -> str:
    try:
        return version("kubernetes-validate")
    except PackageNotFoundError:
        return ""


@cache
def _descriptions() -> Mapping[str, Any]:
    """Definitions with descriptions of the release that the facts describe; empty if the package lacks it."""
    known = facts.kubernetes_version()
    folder = f"v{known['major']}.{known['minor']}.0-local"
    try:
        place = files("kubernetes_validate") / "kubernetes-json-schema" / folder / "_definitions.json"
        found: Mapping[str, Any] = orjson.loads(place.read_bytes())["$defs"]
    except (ModuleNotFoundError, FileNotFoundError, KeyError):
        return {}
    return found


def _described(schema: Any, source: Any) -> Any:
    """`schema` with the descriptions that `source` has at the same places. Both are schemas, not name maps."""
    if not isinstance(schema, dict) or not isinstance(source, dict):
        return schema
    result = dict(schema)
    if isinstance(source.get("description"), str):
        result = {"description": source["description"], **result}
    if "properties" in schema:
        inner = source.get("properties", {})
        result["properties"] = {name: _described(s, inner.get(name)) for name, s in schema["properties"].items()}
    for member in ("items", "additionalProperties"):
        if member in schema:
            result[member] = _described(schema[member], source.get(member))
    return result


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix("#/")
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _closure(names: Iterable[str], group_versions: Iterable[tuple[str, str]], own: Mapping[str, Any]) -> dict[str, Any]:
    """These definitions and all they refer to, described, by name in order."""
    found: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            if name in own:
                found[name] = own[name]
            else:
                found[name] = _described(dict(facts.raw_definition(name)), _descriptions().get(name))
            waiting += _references(found[name])
    for kind in ("DeleteOptions", "WatchEvent"):  # known in every group, so that clients find them for each kind
        if META + kind in found:
            served = [{"group": "", "version": "v1"}, *({"group": g, "version": v} for g, v in group_versions if g)]
            found[META + kind][_KIND] = [{**place, "kind": kind} for place in served]
    return dict(sorted(found.items()))


def _with_references(value: Any, prefix: str) -> Any:
    """References "#/<name>" as "<prefix><name>"."""
    text = json.dumps(value, separators=(",", ":"))
    return json.loads(text.replace('"$ref":"#/', f'"$ref":"{prefix}'))


# --- version 3


def version_3(resources: Sequence[Resource], own: Mapping[str, Any] = _NOTHING) -> dict[str, Any]:
    """The document of one group version; `own` are definitions that are not built in, by name."""
    found = [o for r in resources for o in operations(r)]
    paths: dict[str, Any] = {_root(resources[0]) + "/": {"get": _resources_3(resources[0])}}
    for operation in sorted(found, key=lambda o: o.path):
        entry = paths.setdefault(operation.path, {})
        entry[operation.method] = _operation_3(operation)
        entry["parameters"] = [_parameter_3(p, _place(operation, p)) for p in operation.path_parameters]
    names = {n for o in found for n in (o.body, o.definition) if n} | {META + "APIResourceList", META + "WatchEvent"}
    schemas = _closure(names, {(r.group, r.version): None for r in resources}, own)
    return {
        "openapi": "3.0.0",
        "info": _info(),
        "paths": paths,
        "components": {
            "schemas": _with_references(schemas, "#/components/schemas/"),
            "securitySchemes": {"BearerToken": _SECURITY},
        },
    }


def _info() -> dict[str, str]:
    known = facts.kubernetes_version()
    return {"title": "Kubernetes", "version": f"v{known['kubernetes']}"}


def _place(operation: Operation, parameter: Parameter) -> str:
    return "path" if f"{{{parameter.name}}}" in operation.path else "query"


def _parameter_3(parameter: Parameter, place: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": parameter.name, "in": place, "description": parameter.description}
    if place == "path":
        found["required"] = True
    return found | {"schema": {"type": parameter.type, "uniqueItems": True}}


def _answers_3(definition: str, codes: Sequence[str], streams: bool) -> dict[str, Any]:
    schema = {"schema": {"$ref": f"#/components/schemas/{definition}"}}
    content = {media: schema for media in (*_MEDIA, *(_STREAM if streams else ()))}
    answers: dict[str, Any] = {code: {"description": _CODES[code], "content": content} for code in codes}
    return answers | {"401": {"description": "Unauthorized"}}


_CODES = {"200": "OK", "201": "Created", "202": "Accepted"}


def _operation_3(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.identifier,
    }
    if operation.parameters:
        found["parameters"] = [_parameter_3(p, "query") for p in operation.parameters]
    if operation.body:
        media = PATCH_TYPES if operation.method == "patch" else ("*/*",)
        schema = {"schema": {"$ref": f"#/components/schemas/{operation.body}"}}
        found["requestBody"] = {"content": {m: schema for m in media}}
        if operation.body_required:
            found["requestBody"]["required"] = True
    found["responses"] = _answers_3(operation.definition, operation.codes, operation.streams)
    return found | {"x-kubernetes-action": operation.action, _KIND: kind_extension(operation.kind)}


def _resources_3(resource: Resource) -> dict[str, Any]:
    return {
        "tags": [tag_of(resource.group, resource.version)],
        "description": "get available resources",
        "operationId": f"get_{tag_of(resource.group, resource.version)}_APIResources",
        "responses": _answers_3(META + "APIResourceList", ("200",), False),
    }


# --- version 2


def version_2(resources: Sequence[Resource], own: Mapping[str, Any] = _NOTHING) -> dict[str, Any]:
    """The document of everything."""
    found = [o for r in resources for o in operations(r)]
    paths: dict[str, Any] = {}
    for operation in sorted(found, key=lambda o: o.path):
        entry = paths.setdefault(operation.path, {})
        entry[operation.method] = _operation_2(operation)
        entry["parameters"] = [_parameter_2(p, _place(operation, p)) for p in operation.path_parameters]
    names = {n for o in found for n in (o.body, o.definition) if n} | {META + "WatchEvent"}
    places = {(r.group, r.version): None for r in resources}
    definitions = {name: _schema_2(schema) for name, schema in _closure(names, places, own).items()}
    return {
        "swagger": "2.0",
        "info": _info(),
        "paths": paths,
        "definitions": _with_references(definitions, "#/definitions/"),
        "securityDefinitions": {"BearerToken": _SECURITY},
        "security": [{"BearerToken": []}],
    }


def _schema_2(schema: Any) -> Any:
    """A definition of version 3 as version 2 can say it: no oneOf, no default, a reference with its siblings."""
    result = {k: v for k, v in schema.items() if k not in ("default", "allOf", "oneOf")}
    if "allOf" in schema:
        result |= schema["allOf"][0]
    if "oneOf" in schema:
        result["type"] = "string"
    if "properties" in schema:
        result["properties"] = {name: _schema_2(s) for name, s in schema["properties"].items()}
    for member in ("items", "additionalProperties"):
        if member in schema:
            result[member] = _schema_2(schema[member])
    return result


def _parameter_2(parameter: Parameter, place: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "uniqueItems": True,
        "type": parameter.type,
        "description": parameter.description,
        "name": parameter.name,
        "in": place,
    }
    return found | ({"required": True} if place == "path" else {})


def _operation_2(operation: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    if operation.body:
        body: dict[str, Any] = {"name": "body", "in": "body", "schema": {"$ref": f"#/definitions/{operation.body}"}}
        parameters.append(body | ({"required": True} if operation.body_required else {}))
    parameters += [_parameter_2(p, "query") for p in operation.parameters]
    answer = {"schema": {"$ref": f"#/definitions/{operation.definition}"}}
    responses: dict[str, Any] = {code: {"description": _CODES[code], **answer} for code in operation.codes}
    return {
        "description": operation.description,
        "consumes": list(PATCH_TYPES) if operation.method == "patch" else ["*/*"],
        "produces": [*_MEDIA, *(_STREAM if operation.streams else ())],
        "schemes": ["https"],
        "tags": [operation.tag],
        "operationId": operation.identifier,
        **({"parameters": parameters} if parameters else {}),
        "responses": responses | {"401": {"description": "Unauthorized"}},
        "x-kubernetes-action": operation.action,
        _KIND: kind_extension(operation.kind),
    }

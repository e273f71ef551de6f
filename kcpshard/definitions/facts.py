"""What the API server's published schemas say about built-in kinds: types, defaults, list types, merge keys.

Reads `data/builtin.jsonl` (made by scripts/generate_facts.py from a real kube-apiserver). A definition is decoded when
its kind is first needed, and once: every reference to it is the same `Schema`, and so are equal scalars.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

DATA = Path(__file__).parent / "data" / "builtin.jsonl"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_APIEXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."

# Definitions whose published schema says less than their Go type does.
_SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    META + "Time": "time",
    META + "MicroTime": "microtime",
    _APIEXTENSIONS + "JSONSchemaPropsOrArray": "schema-or-array",
    _APIEXTENSIONS + "JSONSchemaPropsOrBool": "schema-or-bool",
    _APIEXTENSIONS + "JSONSchemaPropsOrStringArray": "schema-or-strings",
}


# Where the Go types say more than the schemas (scripts/generate_go_fields.py): "nulls" are written even when nobody set
# them, "pointers" are strings kept though empty, "values" are numbers and booleans dropped when zero.
def _go_fields(table: str) -> Mapping[str, Sequence[str]]:
    lines = map(orjson.loads, (DATA.parent / "go_fields.jsonl").read_bytes().splitlines())
    return {line["definition"]: line[table] for line in lines if table in line}


_NULL_WHEN_UNSET, _POINTERS, _VALUES = _go_fields("nulls"), _go_fields("pointers"), _go_fields("values")


# Lists whose emptiness means something until it is refused.
_KEPT_EMPTY = frozenset({"io.k8s.api.autoscaling.v2.HPAScalingRules.policies"})


class Schema:
    """The structure of one value. Shared and never changed once built; definitions may refer to themselves.

    `type` is object, array, string, bytes, integer, number, boolean, any, or one of the kinds that Go decodes by
    code of its own: quantity, int-or-string, time, microtime, schema-or-array, schema-or-bool, schema-or-strings.
    """

    __slots__ = (
        "default", "emitted", "enum", "format", "go_type", "items", "list_map_keys", "list_type", "map_type",
        "merge_key", "name", "omit_empty", "patch_strategy", "properties", "required", "type", "values",
    )  # fmt: skip

    def __init__(self, type_: str, name: str = "") -> None:
        self.type = type_
        self.name = name  # of the definition: "io.k8s.api.core.v1.ConfigMap"; "" for anonymous ones
        self.format = ""
        self.properties: dict[str, Schema] | None = None  # of a struct; None for maps and scalars
        self.values: Schema | None = None  # of a map
        self.items: Schema | None = None  # of an array
        self.required: tuple[str, ...] = ()
        self.enum: tuple[str, ...] = ()
        self.default: Any = None  # a scalar that the API documents as default; None: none
        self.emitted: tuple[tuple[str, Any], ...] = ()  # what the server writes for fields nobody set: null, "", {}
        self.omit_empty = False  # "", 0, false, [] and {} mean the same as absence and are not stored
        self.list_type = ""  # atomic, set, map
        self.list_map_keys: tuple[str, ...] = ()
        self.map_type = "atomic" if type_ == "any" else ""  # what has no structure is owned as a whole
        self.patch_strategy = ""  # of strategic merge patch: merge, retainKeys, replace, or two joined by a comma
        self.merge_key = ""
        self.go_type = ""  # as error messages show it: "v1.ObjectMeta", "map[string]string"

    def copy(self) -> "Schema":
        twin = Schema(self.type)
        for slot in Schema.__slots__:
            setattr(twin, slot, getattr(self, slot))
        return twin


class SubresourceFacts(NamedTuple):
    name: str
    verbs: tuple[str, ...]
    group: str
    version: str
    kind: str


class ResourceFacts(NamedTuple):
    """One resource type as kube-apiserver's discovery describes it."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    storage_version_hash: str
    subresources: tuple[SubresourceFacts, ...]


@cache
def _lines() -> tuple[Mapping[str, Any], list[Mapping[str, Any]], dict[str, bytes]]:
    """The header, the groups, and each definition still encoded (all of them take 300 kB)."""
    header, *rest = DATA.read_bytes().splitlines()
    groups = [orjson.loads(line) for line in rest if line.startswith(b'{"group"')]
    encoded = {}
    for line in rest:
        if line.startswith(b'{"definition":"'):
            end = line.index(b'"', 15)
            encoded[line[15:end].decode()] = line
    return orjson.loads(header), groups, encoded


def kubernetes_version() -> Mapping[str, str]:
    """`kubernetes` ("1.36.3"), `major`, `minor` of the server that the facts describe."""
    return _lines()[0]


def resources() -> Iterator[ResourceFacts]:
    """Every built-in resource type, in discovery order: groups by priority, versions by preference."""
    for group in _lines()[1]:
        for version in group["versions"]:
            for entry in version["resources"]:
                yield _resource_facts(group["group"], version["version"], entry)


def _resource_facts(group: str, version: str, entry: Mapping[str, Any]) -> ResourceFacts:
    subresources = []
    for sub in entry.get("subresources", ()):
        kind = sub["responseKind"]
        subresources.append(
            SubresourceFacts(sub["subresource"], tuple(sub["verbs"]), kind["group"], kind["version"], kind["kind"])
        )
    return ResourceFacts(
        group,
        version,
        entry["resource"],
        entry["singularResource"],
        entry["responseKind"]["kind"],
        entry["scope"] == "Namespaced",
        tuple(entry["verbs"]),
        tuple(entry.get("shortNames", ())),
        tuple(entry.get("categories", ())),
        entry.get("storageVersionHash", ""),
        tuple(subresources),
    )


def definition_names() -> list[str]:
    return list(_lines()[2])


def raw_definition(name: str) -> Mapping[str, Any]:
    """The definition as published (OpenAPI v3, without descriptions); references read "#/<name>"."""
    schema: Mapping[str, Any] = orjson.loads(_lines()[2][name])["schema"]
    return schema


def definition_of(group: str, version: str, kind: str) -> str:
    """The definition's name, "" if there is none."""
    return _kinds().get((group, version, kind), "")


@cache
def _kinds() -> dict[tuple[str, str, str], str]:
    found = {}
    for name, line in _lines()[2].items():
        if b'"x-kubernetes-group-version-kind"' in line:
            for kind in orjson.loads(line)["schema"].get("x-kubernetes-group-version-kind", ()):
                found[kind["group"], kind["version"], kind["kind"]] = name
    return found


_definitions: dict[str, Schema] = {}
_scalars: dict[tuple[Any, ...], Schema] = {}


def schema_of(group: str, version: str, kind: str) -> Schema | None:
    name = definition_of(group, version, kind)
    return definition(name) if name else None


def definition(name: str) -> Schema:
    """The one Schema of that definition."""
    found = _definitions.get(name)
    if found is None:
        raw = raw_definition(name)
        found = Schema(_SPECIAL.get(name) or _type_of(raw), name)
        _definitions[name] = found  # before its properties: they may refer to it
        found.go_type = _go_name(name)
        if found.type in ("time", "microtime"):
            found.go_type = "string"
        if found.type == "object":
            _fill_object(found, raw)
    return found


def _type_of(raw: Mapping[str, Any]) -> str:
    if raw.get("format") == "byte":
        return "bytes"
    return str(raw.get("type", "any"))


def _go_name(definition_name: str) -> str:
    """ "io.k8s.api.core.v1.ObjectReference" → "v1.ObjectReference"."""
    return ".".join(definition_name.split(".")[-2:])


def _fill_object(schema: Schema, raw: Mapping[str, Any]) -> None:
    if "additionalProperties" in raw:
        schema.values = _inner(raw["additionalProperties"])
        schema.go_type = f"map[string]{schema.values.go_type}"
    if "properties" not in raw:
        schema.type = "object" if schema.values else "any"
        return
    schema.required = tuple(raw.get("required", ()))
    schema.map_type = raw.get("x-kubernetes-map-type", "")
    schema.emitted = tuple(_emitted(schema, raw))
    schema.properties = {}  # last of all: a property that refers back here copies what is known so far
    for name, property_ in raw["properties"].items():
        schema.properties[name] = _property(schema, name, property_)


def _property(owner: Schema, name: str, raw: Mapping[str, Any]) -> Schema:
    omit_empty = name not in owner.required and ("default" not in raw or name == "name")
    if _type_of(raw) in ("integer", "number", "boolean"):
        omit_empty = name in _VALUES.get(owner.name, ())
    elif (
        f"{owner.name}.{name}" in _KEPT_EMPTY
        or name in _POINTERS.get(owner.name, ())
        or name in _NULL_WHEN_UNSET.get(owner.name, ())
    ):
        omit_empty = False
    if name == "managedFields":
        omit_empty = False  # an empty list is a wish to have none
    go_type = _GO_TYPES.get(f"{owner.name}.{name}", "")
    return _inner(raw, omit_empty, go_type)


def _emitted(schema: Schema, raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    nulls = _NULL_WHEN_UNSET.get(schema.name, ())
    for name, property_ in raw["properties"].items():
        if name in nulls or (name in schema.required and property_.get("type") == "array"):
            yield name, None
        elif name == "name" and name not in schema.required:
            continue  # of LocalObjectReference and its like: a default in the schema, but omitempty in Go
        elif name in _VALUES.get(schema.name, ()):
            continue  # a zero that is documented, but not written
        elif property_.get("default") in ("", 0, {}) and (name != "metadata" or "kind" not in raw["properties"]):
            # Also False: Go's zero value.
            yield name, property_["default"]


def _inner(raw: Mapping[str, Any], omit_empty: bool = False, go_type: str = "") -> Schema:
    """The schema of a property, item or map value."""
    reference = raw.get("$ref") or ("allOf" in raw and raw["allOf"][0]["$ref"])
    if reference:
        return _refined(definition(reference[2:]), raw, omit_empty)
    type_ = _type_of(raw)
    if type_ in ("array", "object"):
        schema = Schema(type_)
        if type_ == "array":
            schema.items = _inner(raw["items"])
            schema.go_type = go_type or f"[]{schema.items.go_type}"
        else:
            _fill_object(schema, raw)
        return _refined(schema, raw, omit_empty)
    default = raw.get("default") or None  # "", 0 and false are Go's zero values, not defaults
    enum = tuple(raw.get("enum", ()))
    format_ = raw.get("format", "")
    return _scalar(type_, format_, default, enum, omit_empty, go_type)


def _scalar(type_: str, format_: str, default: Any, enum: tuple[str, ...], omit_empty: bool, go_type: str) -> Schema:
    key = (type_, format_, default, type(default), enum, omit_empty, go_type)
    found = _scalars.get(key)
    if found is None:
        found = _scalars[key] = Schema(type_)
        found.format, found.default, found.enum, found.omit_empty = format_, default, enum, omit_empty
        found.go_type = go_type or _SCALAR_GO_TYPES.get(type_, "") or format_ or type_
    return found


def _refined(schema: Schema, raw: Mapping[str, Any], omit_empty: bool) -> Schema:
    """`schema`, or where this use of it says more a twin that shares its properties."""
    list_type = raw.get("x-kubernetes-list-type", "")
    keys = tuple(raw.get("x-kubernetes-list-map-keys", ()))
    strategy, merge_key = raw.get("x-kubernetes-patch-strategy", ""), raw.get("x-kubernetes-patch-merge-key", "")
    map_type = raw.get("x-kubernetes-map-type", "") or schema.map_type
    # A struct without members is not empty: where it is optional it is a pointer.
    is_struct = bool(schema.name) and schema.type == "object"
    wanted = (list_type, keys, strategy, merge_key, map_type, omit_empty and not is_struct)
    if schema.name and not (list_type or strategy or merge_key or map_type != schema.map_type):
        return schema
    twin = schema.copy() if schema.name else schema
    twin.list_type, twin.list_map_keys, twin.patch_strategy, twin.merge_key, twin.map_type, twin.omit_empty = wanted
    return twin


_SCALAR_GO_TYPES = {
    "string": "string",
    "boolean": "bool",
    "bytes": "[]uint8",
    "number": "float64",
    "any": "interface {}",
}

# Named Go types, which error messages show instead of the plain type.
_GO_TYPES = {
    "io.k8s.api.core.v1.Secret.type": "v1.SecretType",
    "io.k8s.api.core.v1.NamespaceStatus.phase": "v1.NamespacePhase",
    "io.k8s.api.core.v1.NamespaceSpec.finalizers": "[]v1.FinalizerName",
    "io.k8s.api.core.v1.ResourceQuotaSpec.scopes": "[]v1.ResourceQuotaScope",
    "io.k8s.api.core.v1.LimitRangeItem.type": "v1.LimitType",
    "io.k8s.api.certificates.v1.CertificateSigningRequestSpec.usages": "[]v1.KeyUsage",
    "io.k8s.api.certificates.v1.CertificateSigningRequestCondition.type": "v1.RequestConditionType",
    "io.k8s.api.certificates.v1.CertificateSigningRequestCondition.status": "v1.ConditionStatus",
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta.uid": "types.UID",
    "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference.uid": "types.UID",
    "io.k8s.api.core.v1.ObjectReference.uid": "types.UID",
    _APIEXTENSIONS + "CustomResourceDefinitionSpec.scope": "v1.ResourceScope",
    _APIEXTENSIONS + "CustomResourceConversion.strategy": "v1.ConversionStrategyType",
}

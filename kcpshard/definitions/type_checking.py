"""Type-check warnings of a ValidatingAdmissionPolicy: what its expressions say of fields that the kinds do not have.

Expressions see `object` as dyn when they are evaluated; here each is checked once for every kind that the rules of the
policy name, with that kind's schema, and what is wrong is told in the status. It never stops anything.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.cel.admission import NAMESPACE, REQUEST
from kcpshard.cel.checking import CompileFault, check
from kcpshard.cel.schema_types import type_of_schema
from kcpshard.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    OPAQUE,
    STRING,
    TIMESTAMP,
    Type,
    escape,
    list_of,
    map_of,
    struct,
)
from kcpshard.definitions.contract import Object, Resource
from kcpshard.definitions.facts import Schema

MOST_KINDS = 10
_MOST_DEPTH = 12  # of nested objects; kinds that contain themselves are not followed for ever

# (group, version, plural) → the type, if it is served.
Find = Callable[[str, str, str], Resource | None]


class Kind(NamedTuple):
    resource: Resource
    type: Type

    def __str__(self) -> str:
        group, version = self.resource.group, self.resource.version
        return f"{group}/{version}, Kind={self.resource.kind}"


def warnings(policy: Object, find: Find, params: Resource | None) -> list[Object]:
    """Of status.typeChecking.expressionWarnings."""
    spec = policy.get("spec") or {}
    kinds = kinds_of(spec.get("matchConstraints") or {}, find)
    found = []
    for place, validation in enumerate(spec.get("validations") or ()):
        for member in ("expression", "messageExpression"):
            text = validation.get(member) or ""
            told = "\n".join(_told(spec, kinds, params, text)) if text else ""
            if told:
                found.append({"fieldRef": f"spec.validations[{place}].{member}", "warning": told})
    return found


def kinds_of(match: Object, find: Find) -> list[Kind]:
    """The kinds that the rules name without wildcards, at most MOST_KINDS."""
    found: dict[tuple[str, str, str], Kind] = {}
    for rule in match.get("resourceRules") or ():
        for resource in _named(rule, find):
            type_ = resource_type(resource)
            if type_ is not None:
                found[resource.group, resource.version, resource.kind] = Kind(resource, type_)
            if len(found) == MOST_KINDS:
                break
    return [found[key] for key in sorted(found)]


def _named(rule: Mapping[str, Any], find: Find) -> Iterator[Resource]:
    groups, versions = (sorted(rule.get(member) or ()) for member in ("apiGroups", "apiVersions"))
    if any("*" in name for name in (*groups, *versions)):
        return
    resources = sorted(name for name in rule.get("resources") or () if "*" not in name and "/" not in name)
    for group in groups:
        for version in versions:
            for plural in resources:
                if (resource := find(group, version, plural)) is not None:
                    yield resource


def _told(spec: Object, kinds: Sequence[Kind], params: Resource | None, text: str) -> Iterator[str]:
    for kind in kinds:
        fault = _fault(spec, kind, params, text)
        if fault:
            yield f"{kind}: {fault}\n"


def _fault(spec: Object, kind: Kind, params: Resource | None, text: str) -> str:
    declared: dict[str, Type] = {
        "object": kind.type, "oldObject": kind.type, "request": REQUEST, "namespaceObject": NAMESPACE,
        "authorizer": OPAQUE["authorizer"],
    }  # fmt: skip
    if spec.get("paramKind") is not None:
        declared["params"] = (resource_type(params) if params is not None else None) or DYN
    variables: dict[str, Type] = {}
    for variable in spec.get("variables") or ():
        try:
            checked = check(variable["expression"], {**declared, "variables": _variables(variables)})
            variables[variable["name"]] = checked.root.type
        except CompileFault:
            variables[variable["name"]] = DYN
    try:
        check(text, {**declared, "variables": _variables(variables)})
    except CompileFault as fault:
        return str(fault)
    return ""


def _variables(known: Mapping[str, Type]) -> Type:
    return struct(dict(known), 0, "kubernetes.variables")


def resource_type(resource: Resource) -> Type | None:
    """The objects of a type as expressions see them; None if nothing is known of them."""
    if resource.definition is not None:
        raw = resource.schema._raw if resource.schema is not None else None
        return type_of_schema(raw, True) if raw is not None else None
    schema: Schema | None = resource.schema
    return _type(schema, 0) if schema is not None else None


_SCALARS = {
    "string": STRING, "bytes": BYTES, "integer": INT, "number": DOUBLE, "boolean": BOOL,
    "time": TIMESTAMP, "microtime": TIMESTAMP,
}  # fmt: skip


def _type(schema: Schema, depth: int) -> Type | None:
    """None for quantities, of which the published schemas give no single type: what has none is not visible."""
    if schema.type in _SCALARS:
        return _SCALARS[schema.type]
    if depth > _MOST_DEPTH:
        return DYN
    match schema.type:
        case "quantity":
            return None
        case "array" if schema.items is not None:
            element = _type(schema.items, depth + 1)
            return list_of(element) if element is not None else None
        case "object" if schema.properties is not None:
            return struct(_fields(schema.properties, depth), 0, schema.name or "object")
        case "object" if schema.values is not None:
            value = _type(schema.values, depth + 1)
            return map_of(STRING, value) if value is not None else None
    return DYN


def _fields(properties: Mapping[str, Schema], depth: int) -> dict[str, Type]:
    found = {}
    for name, child in properties.items():
        type_, escaped = _type(child, depth + 1), escape(name)
        if type_ is not None and escaped is not None:
            found[escaped] = type_
    return found

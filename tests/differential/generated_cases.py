"""Cases for the comparison of built-in kinds: good objects, bent by what their published schema says. Seeded.

A case is a good object (a seed: the bodies of the rows written by hand, those that are accepted) and one to three
`Bend`s of it: a path and a new value, or its removal. A bend can be put into every kind of write: a creation, an
update, a JSON, merge or strategic merge patch, an apply.
"""

import copy
import random
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from kcpshard.definitions import facts
from tests.differential import kinds, workload_kinds
from tests.differential.exchanges import Exchange

Object = dict[str, Any]
Path = tuple[str | int, ...]
GROUPS = {
    "core": "", "apps": "apps", "batch": "batch", "rbac": "rbac.authorization.k8s.io", "autoscaling": "autoscaling",
    "networking": "networking.k8s.io", "policy": "policy", "coordination": "coordination.k8s.io",
    "events": "events.k8s.io", "apiregistration": "apiregistration.k8s.io", "certificates": "certificates.k8s.io",
    "discovery": "discovery.k8s.io", "storage": "storage.k8s.io", "scheduling": "scheduling.k8s.io",
    "node": "node.k8s.io", "flowcontrol": "flowcontrol.apiserver.k8s.io", "resource": "resource.k8s.io",
    "admission": "admissionregistration.k8s.io",
}  # fmt: skip
TEXTS = (
    "a", "b", "a-b", "a.b", "a.b/c", "A", "", "-a", "a b", "a_b", "x" * 64, "x" * 254, "1", "80", "10%", "120%", "1Gi",
    "-1", "0.5", "10.0.0.1", "fd00::1", "10.0.0.0/8", "*", "/a", "../a", "a/../b", "Always", "Never", "In", "Exists",
    "True", "Name", "2020-01-01T00:00:00Z", "kubernetes.io/x", "example.com/x", "YQ==", "http", "TCP", "\u00e9", "$(A)",
)  # fmt: skip
NUMBERS = (0, 1, 2, 80, 100, -1, 65536, 3600, 2**31, 2**63, 1.5)
REMOVED = object()
# Not added: the type; what a dry run there shows as it was sent; what is no longer kept here.
_UNMADE = ("apiVersion", "kind", "resourceVersion", "selfLink", "managedFields")


class Bend(NamedTuple):
    path: Path
    value: Any  # REMOVED takes the member away


class Seed(NamedTuple):
    kind: str
    api_version: str
    collection: str  # the URL, with {ns}
    body: Object


def _more() -> Iterator[Seed]:
    """Kinds that no row is written for."""
    hpa = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}, "maxReplicas": 3}
    place = "/apis/autoscaling/v1/namespaces/{ns}/horizontalpodautoscalers"
    for spec in (hpa, {**hpa, "minReplicas": 2, "targetCPUUtilizationPercentage": 50}):
        yield Seed("HorizontalPodAutoscaler", "autoscaling/v1", place, {"spec": spec})
    parent = {"parentRef": {"group": "", "resource": "services", "namespace": "{ns}", "name": "s"}}
    yield Seed("IPAddress", "networking.k8s.io/v1", "/apis/networking.k8s.io/v1/ipaddresses", {"spec": parent})
    yield from _devices()
    cidrs = {"spec": {"cidrs": ["10.9.0.0/24"]}}
    yield Seed("ServiceCIDR", "networking.k8s.io/v1", "/apis/networking.k8s.io/v1/servicecidrs", cidrs)


def _devices() -> Iterator[Seed]:
    version, place = "resource.k8s.io/v1", "/apis/resource.k8s.io/v1/"
    selectors = [{"cel": {"expression": "device.driver == 'd' && device.attributes['d'].x == 'y'"}}]
    config = {"opaque": {"driver": "d", "parameters": {"a": 1}}}
    asked = {"deviceClassName": "c", "selectors": selectors}
    tolerations = [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}]
    exactly = {"name": "a", "exactly": {**asked, "count": 2, "tolerations": tolerations}}
    either = {"name": "b", "firstAvailable": [{"name": "x", **asked}, {"name": "y", **asked, "allocationMode": "All"}]}
    constraints = [{"requests": ["a", "b/x"], "matchAttribute": "d/x"}, {"distinctAttribute": "d/y"}]
    spec = {"devices": {"requests": [exactly, either], "constraints": constraints, "config": [config]}}
    yield Seed("ResourceClaim", version, f"{place}namespaces/{{ns}}/resourceclaims", {"spec": spec})
    template = {"spec": {"metadata": {"labels": {"a": "b"}}, "spec": spec}}
    yield Seed("ResourceClaimTemplate", version, f"{place}namespaces/{{ns}}/resourceclaimtemplates", template)
    given = {"selectors": selectors, "config": [config], "extendedResourceName": "a.b/c"}
    yield Seed("DeviceClass", version, f"{place}deviceclasses", {"spec": given})
    policy = {"default": "1Gi", "validRange": {"min": "1Gi", "max": "4Gi", "step": "1Gi"}}
    device = {
        "name": "x", "allowMultipleAllocations": True,
        "attributes": {"a": {"string": "b"}, "d/v": {"version": "1.2.3"}},
        "capacity": {"m": {"value": "4Gi", "requestPolicy": policy}}, "taints": [{"key": "k", "effect": "NoExecute"}],
    }  # fmt: skip
    pool = {"driver": "d", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}}
    counted = {"name": "y", "consumesCounters": [{"counterSet": "s", "counters": {"c": {"value": "1"}}}]}
    for given in (
        {**pool, "nodeName": "n", "devices": [device, counted]},
        {**pool, "allNodes": True, "sharedCounters": [{"name": "s", "counters": {"c": {"value": "2"}}}]},
        {**pool, "perDeviceNodeSelection": True, "devices": [{"name": "z", "nodeName": "n"}]},
    ):
        yield Seed("ResourceSlice", version, f"{place}resourceslices", {"spec": given})


def seeds() -> Iterator[Seed]:
    """Not all of them are good."""
    for exchange in (*kinds.kinds(), *workload_kinds.workload_kinds()):
        body = exchange.body
        if exchange.method == "POST" and isinstance(body, dict) and "kind" in body and _is_small(body):
            yield Seed(body["kind"], body["apiVersion"], exchange.url.partition("?")[0], body)
    for seed in _more():
        name = "10.9.0.77" if seed.kind == "IPAddress" else "{ns}-a"
        body = {"apiVersion": seed.api_version, "kind": seed.kind, "metadata": {"name": name}, **seed.body}
        yield seed._replace(body=body)


def _is_small(body: Object) -> bool:
    return len(str(body)) < 20_000


@cache
def _raw(name: str) -> Mapping[str, Any]:
    return facts.raw_definition(name)


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref") or ("allOf" in schema and schema["allOf"][0].get("$ref"))
    return _raw(reference[2:]) if reference else schema


def schema_of(seed: Seed) -> Mapping[str, Any]:
    group, _, version = seed.api_version.rpartition("/")
    return _raw(facts.definition_of(group, version, seed.kind))


def bends(rng: random.Random, seed: Seed, body: Object) -> list[Bend]:
    """One, rarely two or three. Later ones are made of what the earlier have left."""
    found: list[Bend] = []
    body = copy.deepcopy(body)
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        bend = _bend(rng, schema_of(seed), body)
        if bend is not None:
            found.append(bend)
            body = bent(body, bend)
    return found


def _bend(rng: random.Random, schema: Mapping[str, Any], body: Object) -> Bend | None:
    places = [p for p in _places(schema, body, ()) if p[0] and p[0][0] not in ("apiVersion", "kind", "status")]
    places = [p for p in places if p[0][0] != "metadata" or rng.random() < 0.25] or places
    if not places:
        return None
    path, of, value = rng.choice(places)
    if value is None or rng.random() < 0.25:
        return Bend(path, rng.choice((REMOVED, None, "x", 5, True, [], {}, ["x"], {"x": "y"})))
    return Bend(path, _other(rng, of, value))


def _other(rng: random.Random, schema: Mapping[str, Any], value: Any) -> Any:
    """A value of the right type, mostly."""
    schema = _resolved(schema)
    match value:
        case bool():
            return not value
        case int() | float():
            return rng.choice(NUMBERS)
        case str():
            return _text(rng, schema)
        case list():
            return _other_list(rng, schema, value)
        case dict():
            return _other_object(rng, schema, value)
    return None


def _text(rng: random.Random, schema: Mapping[str, Any]) -> Any:
    if schema.get("enum") and rng.random() < 0.6:
        return rng.choice(schema["enum"])
    if "oneOf" in schema and rng.random() < 0.4:
        return rng.choice(NUMBERS[:-1])
    return rng.choice(TEXTS)


def _other_list(rng: random.Random, schema: Mapping[str, Any], value: list[Any]) -> list[Any]:
    items = schema.get("items") or {}
    choice = rng.random()
    if choice < 0.25 and value:
        return [*value, copy.deepcopy(rng.choice(value))]
    if choice < 0.4 and value:
        return value[1:]
    if choice < 0.5 and len(value) > 1:
        return value[::-1]
    return [*value, _made(rng, items, 2)]


def _other_object(rng: random.Random, schema: Mapping[str, Any], value: Object) -> Object:
    properties = schema.get("properties") or {}
    if not properties:
        key = rng.choice(TEXTS)
        return {**value, key: _made(rng, schema.get("additionalProperties") or {}, 1)}
    missing = [name for name in properties if name not in value and name not in _UNMADE]
    if rng.random() < 0.08 or not missing:
        return {**value, rng.choice(("bogus", "Spec", "x-y")): rng.choice(TEXTS)}
    chosen = rng.choice(missing)
    return {**value, chosen: _made(rng, properties[chosen], 3)}


def _made(rng: random.Random, schema: Mapping[str, Any], depth: int) -> Any:
    """Something of the type that the schema names."""
    schema = _resolved(schema)
    if schema.get("format") == "date-time":
        return rng.choice(("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000000Z", "x"))
    match schema.get("type"):
        case "boolean":
            return rng.random() < 0.5
        case "integer" | "number":
            return rng.choice(NUMBERS)
        case "array":
            return [_made(rng, schema.get("items") or {}, depth - 1) for _ in range(rng.choice((0, 1, 1, 2)))]
        case "object":
            return _made_object(rng, schema, depth)
    return _text(rng, schema)


def _made_object(rng: random.Random, schema: Mapping[str, Any], depth: int) -> Object:
    properties = schema.get("properties")
    if properties is None:
        inner = schema.get("additionalProperties") or {}
        return {rng.choice(TEXTS): _made(rng, inner, depth - 1) for _ in range(rng.choice((0, 1, 1, 2)))}
    required = [name for name in schema.get("required", ()) if rng.random() < 0.9]
    if depth <= 0:
        return {name: _made(rng, properties[name], depth - 1) for name in required}
    others = [name for name in properties if name not in required]
    chosen = [*required, *rng.sample(others, min(len(others), rng.choice((0, 1, 1, 2))))]
    return {name: _made(rng, properties[name], depth - 1) for name in chosen}


def _places(schema: Mapping[str, Any], value: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any], Any]]:
    """Everything in there: where, its schema, what it is now."""
    schema = _resolved(schema)
    if path:
        yield path, schema, value
    if isinstance(value, dict):
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties") or {}
        for key, member in value.items():
            yield from _places(properties.get(key, others), member, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _places(schema.get("items") or {}, item, (*path, place))


def bent(body: Object, bend: Bend) -> Object:
    found = copy.deepcopy(body)
    place: Any = found
    for step in bend.path[:-1]:
        place = place[step]
    if bend.value is REMOVED:
        del place[bend.path[-1]]
    else:
        place[bend.path[-1]] = copy.deepcopy(bend.value)
    return found


def merge_patch(body: Object, changed: Object) -> Object:
    """What turns `body` into `changed`, lists as a whole."""
    patch: Object = {key: None for key in body if key not in changed}
    for key, value in changed.items():
        if key not in body:
            patch[key] = value
        elif isinstance(value, dict) and isinstance(body[key], dict):
            if inner := merge_patch(body[key], value):
                patch[key] = inner
        elif value != body[key] or type(value) is not type(body[key]):
            patch[key] = value
    return patch


def json_patch(found: list[Bend]) -> list[Object]:
    steps = []
    for bend in found:
        pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in bend.path)
        removes = bend.value is REMOVED
        steps.append(
            {"op": "remove", "path": pointer} if removes else {"op": "replace", "path": pointer, "value": bend.value}
        )
    return steps


def as_creation(seed: Seed, body: Object, query: str = "?dryRun=All") -> Exchange:
    return Exchange(f"{seed.kind} create", "POST", seed.collection + query, body)

"""Generated pairs of a structural schema and objects for it, the same for every run with the same seed.

Schemas use every word that a structural schema may have; objects are drawn from the schema, then bent: a wrong type, an
unknown field, a null, a value out of bounds, something missing or twice.
"""

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Raw = dict[str, Any]


class Pair(NamedTuple):
    """`objects` are specs to create; each is then updated to the one after it."""

    schema: Raw
    objects: list[Any]


def pairs(seed: int, count: int, objects: int = 5) -> Iterator[Pair]:
    draw = random.Random(seed)
    for _ in range(count):
        schema = _object(draw, 2)
        specs = [_bent(draw, _value(draw, schema)) for _ in range(objects)]
        yield Pair(schema, [spec if isinstance(spec, dict) else {} for spec in specs])


# --- schemas


def _schema(draw: random.Random, depth: int) -> Raw:
    makers: list[Callable[[random.Random, int], Raw]] = [_string, _integer, _number, _boolean, _int_or_string]
    if depth:
        makers += [_object, _object, _map, _list, _map_list, _set, _open, _embedded]
    return _extended(draw, draw.choice(makers)(draw, depth - 1))


def _extended(draw: random.Random, schema: Raw) -> Raw:
    if draw.random() < 0.15 and "properties" not in schema:
        schema["nullable"] = True
    if draw.random() < 0.2 and schema.get("type") in ("string", "integer", "boolean") and len(schema) == 1:
        schema["default"] = {"string": "ab", "integer": 2, "boolean": True}[schema["type"]]
    return schema


def _string(draw: random.Random, _depth: int) -> Raw:
    extras: list[Raw] = [
        {}, {}, {"minLength": 2}, {"maxLength": 3}, {"pattern": "^[a-c]+$"}, {"enum": ["a", "b", "ab"]},
        {"format": draw.choice(["date", "date-time", "ipv4", "uuid", "byte", "duration", "uri", "email", "cidr"])},
        {"anyOf": [{"minLength": 3}, {"pattern": "^a"}]}, {"not": {"enum": ["a"]}},
        {"oneOf": [{"maxLength": 1}, {"pattern": "^b"}]}, {"allOf": [{"minLength": 1}, {"maxLength": 2}]},
    ]  # fmt: skip
    return {"type": "string", **draw.choice(extras)}


def _integer(draw: random.Random, _depth: int) -> Raw:
    extras: list[Raw] = [
        {}, {"minimum": 1}, {"maximum": 3}, {"minimum": 1, "exclusiveMinimum": True}, {"multipleOf": 2},
        {"maximum": 3, "exclusiveMaximum": True}, {"enum": [1, 2]}, {"format": "int32"}, {"format": "int64"},
    ]  # fmt: skip
    return {"type": "integer", **draw.choice(extras)}


def _number(draw: random.Random, _depth: int) -> Raw:
    return {"type": "number", **draw.choice([{}, {"minimum": 0.5}, {"maximum": 2.5}])}


def _boolean(_draw: random.Random, _depth: int) -> Raw:
    return {"type": "boolean"}


def _int_or_string(_draw: random.Random, _depth: int) -> Raw:
    return {"x-kubernetes-int-or-string": True}


def _object(draw: random.Random, depth: int) -> Raw:
    properties = {name: _schema(draw, depth) for name in draw.sample("abcdefg", draw.randint(1, 4))}
    schema: Raw = {"type": "object", "properties": properties}
    if draw.random() < 0.4:
        schema["required"] = draw.sample(sorted(properties), 1)
    if draw.random() < 0.15:
        schema["x-kubernetes-preserve-unknown-fields"] = True
    return schema


def _map(draw: random.Random, depth: int) -> Raw:
    bounds: Raw = draw.choice([{}, {"maxProperties": 1}, {"minProperties": 1}])
    return {"type": "object", "additionalProperties": _schema(draw, depth), **bounds}


def _list(draw: random.Random, depth: int) -> Raw:
    bounds: Raw = draw.choice([{}, {"maxItems": 1}, {"minItems": 1}])
    return {"type": "array", "items": _schema(draw, depth), **bounds}


def _map_list(draw: random.Random, depth: int) -> Raw:
    item: Raw = {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}
    item["properties"]["v"] = _schema(draw, 0)
    return {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}


def _set(draw: random.Random, _depth: int) -> Raw:
    return {"type": "array", "items": {"type": draw.choice(["string", "integer"])}, "x-kubernetes-list-type": "set"}


def _open(_draw: random.Random, _depth: int) -> Raw:
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _embedded(_draw: random.Random, _depth: int) -> Raw:
    return {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
    }


# --- values

_WORDS = ["a", "b", "ab", "abc", "ba", "", "2020-02-30", "2020-02-28", "2020-02-28T01:02:03Z", "1.2.3.4", "YWI=", "1h"]
_OTHERS: list[Any] = [None, 1, -1, 1.5, 2.0, "x", True, [], ["a"], {}, {"zz": 1}, [1, 1]]


def _value(draw: random.Random, schema: Raw) -> Any:
    if schema.get("nullable") and draw.random() < 0.2:
        return None
    if schema.get("x-kubernetes-int-or-string"):
        return draw.choice([1, "a"])
    if schema.get("x-kubernetes-embedded-resource"):
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"any": 1}}
    match schema["type"]:
        case "string":
            return draw.choice([*schema.get("enum", ()), *_WORDS])
        case "integer":
            return draw.choice([0, 1, 2, 3, 4])
        case "number":
            return draw.choice([0, 0.5, 1, 2.5, 3.75])
        case "boolean":
            return draw.choice([True, False])
        case "array":
            return [_value(draw, schema["items"]) for _ in range(draw.randint(0, 3))]
    if "additionalProperties" in schema:
        return {key: _value(draw, schema["additionalProperties"]) for key in draw.sample("xyz", draw.randint(0, 2))}
    found = {}
    for name, child in schema.get("properties", {}).items():
        if name in schema.get("required", ()) or draw.random() < 0.7:
            found[name] = _value(draw, child)
    return found


def _bent(draw: random.Random, value: Any) -> Any:
    """The value with up to two faults."""
    value = copy.deepcopy(value)
    for _ in range(draw.choice([0, 0, 1, 1, 2])):
        places = list(_places(value))
        if not places:
            break
        container, key = draw.choice(places)
        match draw.randint(0, 4):
            case 0:
                container[key] = copy.deepcopy(draw.choice(_OTHERS))
            case 1 if isinstance(container, dict):
                container["unknown"] = copy.deepcopy(draw.choice(_OTHERS))
            case 2 if isinstance(container, dict):
                del container[key]
            case 3 if isinstance(container, list):
                container.append(copy.deepcopy(container[key]))
            case _:
                container[key] = None
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield value, key
            yield from _places(child)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield value, place
            yield from _places(child)

"""Objects of any kind with values in their fields, for round trips through both codecs (and the Go types)."""

import random
from typing import Any

from kcpfront.protobuf import facts
from kcpfront.protobuf.facts import Field
from kcpfront.protobuf.special_types import (
    FIELDS,
    INT_OR_STRING,
    JSON,
    MICRO_TIME,
    PROPS,
    PROPS_OR_ARRAY,
    PROPS_OR_BOOL,
    PROPS_OR_STRINGS,
    QUANTITY,
    RAW_EXTENSION,
    TIME,
)

_MAX_DEPTH = 9
_WORDS = ("a", "é", "x" * 127, "y" * 128, "naïve text", "q-1.example.com/z", "☃", "long " * 4000)
_SPECIAL = {
    TIME: ("2026-11-23T22:56:17Z", "1969-12-31T23:59:59Z", "0987-01-02T03:04:05Z"),
    MICRO_TIME: ("2026-11-23T22:56:17.000001Z", "1969-12-31T23:59:59.500000Z", "2026-01-01T00:00:00.000000Z"),
    QUANTITY: ("1", "100m", "5Gi", "0", "-3"),
    INT_OR_STRING: (0, 8080, -1, "http", "25%"),
    RAW_EXTENSION: ({"apiVersion": "v1", "kind": "X", "a": [1, {}]}, {"b": None}),
    FIELDS: ({"f:metadata": {".": {}, "f:labels": {}}}, {}),
    JSON: ({"a": [1, 2.5, None]}, "text", 7, False, []),
}


def filled(message: str, rng: random.Random, depth: int = 0) -> Any:
    """A JSON value as client-go writes it: what the API type leaves out when empty is never empty here."""
    if message in _SPECIAL:
        return rng.choice(_SPECIAL[message])
    if message in (PROPS_OR_BOOL, PROPS_OR_ARRAY, PROPS_OR_STRINGS):
        return _schema(message, rng, depth)
    if facts.is_list(message):
        return [rng.choice(_WORDS) for _ in range(rng.randint(1, 3))]
    found: dict[str, Any] = {}
    fields = facts.fields(message)
    likelihood = 0.15 if message == PROPS else 0.7  # schemas hold schemas in many fields
    rng.shuffle(fields)
    for field in fields:
        if field.inline:
            found.update(filled(field.type, rng, depth + 1))
        elif depth < _MAX_DEPTH and (depth < 2 or rng.random() < likelihood):
            found[field.name] = _field(field, rng, depth)
    return found


def _schema(message: str, rng: random.Random, depth: int) -> Any:
    if message == PROPS_OR_BOOL and (depth > 4 or rng.random() < 0.5):
        return rng.random() < 0.5
    if message == PROPS_OR_STRINGS and rng.random() < 0.5:
        return ["a", "b"]
    schema = {"type": rng.choice(_WORDS)} if depth > 4 else filled(PROPS, rng, depth + 3)
    return [schema, {"type": "x"}] if message == PROPS_OR_ARRAY and rng.random() < 0.5 else schema


def _field(field: Field, rng: random.Random, depth: int) -> Any:
    if field.map:
        return {rng.choice(_WORDS): _value(field, rng, depth) for _ in range(rng.randint(1, 3))}
    if field.repeated:
        return [_value(field, rng, depth) for _ in range(rng.randint(1, 3))]
    return _value(field, rng, depth)


def _value(field: Field, rng: random.Random, depth: int) -> Any:
    may_be_zero = not field.omits_zero
    match field.type:
        case "string":
            return rng.choice(("", *_WORDS) if may_be_zero else _WORDS)
        case "int":
            return rng.choice((0, 1, 127, 128, 2**31 - 1, -1) if may_be_zero else (1, 127, 128, 2**31 - 1, -1))
        case "bool":
            return not (may_be_zero and rng.random() < 0.3)
        case "double":
            return rng.choice((0.5, -2.25, 1e100))
        case "bytes":
            return rng.choice(("AA==", "aGVsbG8gd29ybGQ=", "//79/A=="))
    value = filled(field.type, rng, depth + 1)
    return value if value or not field.omits_empty else {"name": "x"}


def kinds() -> list[tuple[str, str, str]]:
    """apiVersion, kind and message of every kind with a protobuf form."""
    found = []
    for kind, message in sorted(facts.kinds().items()):
        version, _, name = kind.partition(" ")
        found.append((version, name, message))
    return found

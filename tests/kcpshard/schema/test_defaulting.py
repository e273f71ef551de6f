from typing import Any

import pytest

from kcpshard.schema.defaulting import default, has_defaults
from kcpshard.schema.structural import Structural

SCHEMA = Structural(
    {
        "type": "object",
        "properties": {
            "size": {"type": "integer", "default": 1},
            "maybe": {"type": "string", "nullable": True, "default": "x"},
            "nested": {
                "type": "object",
                "default": {},
                "properties": {"deep": {"type": "array", "default": ["a"], "items": {"type": "string"}}},
            },
            "list": {
                "type": "array",
                "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}},
            },
        },
    }
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({}, {"size": 1, "maybe": "x", "nested": {"deep": ["a"]}}, id="everything absent"),
        pytest.param(
            {"size": None, "maybe": None},
            {"size": 1, "maybe": None, "nested": {"deep": ["a"]}},
            id="null where allowed",
        ),
        pytest.param(
            {"size": 3, "maybe": "y", "nested": {"deep": []}, "list": [{}, {"p": "UDP"}]},
            {"size": 3, "maybe": "y", "nested": {"deep": []}, "list": [{"p": "TCP"}, {"p": "UDP"}]},
            id="what is there stays",
        ),
    ],
)
def test_defaulting(value: Any, expected: Any) -> None:
    default(value, SCHEMA)
    assert value == expected
    default(value, SCHEMA)
    assert value == expected


def test_defaults_are_copied() -> None:
    one: dict[str, Any] = {}
    default(one, SCHEMA)
    one["nested"]["deep"].append("b")
    two: dict[str, Any] = {}
    default(two, SCHEMA)
    assert two["nested"]["deep"] == ["a"]


def test_a_schema_without_defaults_says_so() -> None:
    assert has_defaults(SCHEMA)
    assert not has_defaults(Structural({"type": "object", "properties": {"a": {"type": "string"}}}))


def test_a_default_in_the_place_of_a_null_is_filled_in_itself() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string", "default": "d"}}, "default": {}}
    value = {"m": None}
    default(value, Structural({"type": "object", "additionalProperties": inner}))
    assert value == {"m": {"a": "d"}}

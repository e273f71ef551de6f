from typing import Any

import pytest

from kcpshard.schema.pruning import prune
from kcpshard.schema.structural import Structural

SCHEMA = Structural(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "known": {"type": "string"},
                    "items": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                    "free": {"type": "object", "additionalProperties": {"type": "string"}},
                    "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    "embedded": {
                        "type": "object",
                        "x-kubernetes-embedded-resource": True,
                        "properties": {"spec": {"type": "object"}},
                    },
                },
            }
        },
    }
)


@pytest.mark.parametrize(
    ("spec", "left", "dropped"),
    [
        pytest.param({"known": "x", "no": 1}, {"known": "x"}, ["spec.no"], id="an unknown field"),
        pytest.param({"items": [{"a": "1", "b": 2}]}, {"items": [{"a": "1"}]}, ["spec.items[0].b"], id="in a list"),
        pytest.param({"free": {"x": "1"}}, {"free": {"x": "1"}}, [], id="a free-form map"),
        pytest.param({"any": {"x": {"y": 1}}}, {"any": {"x": {"y": 1}}}, [], id="unknown fields preserved"),
        pytest.param(
            {"embedded": {"apiVersion": "v1", "kind": "K", "metadata": {"name": "x"}, "no": 1}},
            {"embedded": {"apiVersion": "v1", "kind": "K", "metadata": {"name": "x"}}},
            ["spec.embedded.no"],
            id="an embedded resource keeps its identity",
        ),
    ],
)
def test_pruning(spec: Any, left: Any, dropped: list[str]) -> None:
    obj = {"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x", "odd": 1}, "spec": spec}
    assert prune(obj, SCHEMA) == dropped
    assert obj == {"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x", "odd": 1}, "spec": left}
    assert prune(obj, SCHEMA) == []

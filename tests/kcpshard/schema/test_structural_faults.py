from typing import Any

import pytest

from kcpshard.schema.structural_faults import faults

OBJECT = {"type": "object"}


def root(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(root(spec=OBJECT), [], id="structural"),
        pytest.param({}, ["s.type"], id="no type at the root"),
        pytest.param({"type": "string"}, ["s.type"], id="not an object at the root"),
        pytest.param(root(spec={}), ["s.properties[spec].type"], id="a property without type"),
        pytest.param(root(spec={"x-kubernetes-preserve-unknown-fields": True}), [], id="unknown fields need no type"),
        pytest.param(root(port={"x-kubernetes-int-or-string": True}), [], id="int-or-string needs no type"),
        pytest.param(
            root(port={"x-kubernetes-int-or-string": True, "type": "string"}),
            [],
            id="int-or-string may have a type",
        ),
        pytest.param(root(a={"type": "array"}), ["s.properties[a].items"], id="an array without items"),
        pytest.param(
            {**root(), "additionalProperties": OBJECT, "properties": {"a": OBJECT}},
            ["s.additionalProperties"],
            id="properties and additionalProperties",
        ),
        pytest.param(
            root(a={"type": "string", "uniqueItems": True}), ["s.properties[a].uniqueItems"], id="uniqueItems"
        ),
        pytest.param(
            {**root(a={"type": "string"}), "oneOf": [{"properties": {"b": {"minLength": 1}}}]},
            ["s.properties[b]"],
            id="a junctor may only speak of what is declared",
        ),
        pytest.param(
            {**root(a={"type": "string"}), "oneOf": [{"properties": {"a": {"type": "string"}}}]},
            ["s.oneOf[0].properties[a].type"],
            id="a junctor declares no types",
        ),
        pytest.param(
            root(a={"type": "array", "items": OBJECT, "x-kubernetes-list-type": "map"}),
            ["s.properties[a].x-kubernetes-list-map-keys"],
            id="a map list without keys",
        ),
        pytest.param(
            root(
                a={
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"],
                    "items": {"type": "object", "properties": {"k": {"type": "string"}}},
                }
            ),
            ["s.properties[a].items.properties[k].default"],
            id="a map key must be required or have a default",
        ),
        pytest.param(root(a={"type": "string", "pattern": "("}), ["s.properties[a].pattern"], id="no pattern"),
        pytest.param(
            root(a={"type": "integer", "default": "x"}), ["s.properties[a].default"], id="a default of no use"
        ),
        pytest.param(
            root(a={**root(y={"type": "string"}), "default": {"x": 1}}),
            ["s.properties[a].default"],
            id="a default that would be pruned",
        ),
        pytest.param(
            root(metadata=root(labels=OBJECT)), ["s.properties[metadata]"], id="metadata is the server's business"
        ),
        pytest.param(
            root(a={"type": "array", "items": OBJECT, "x-kubernetes-list-type": "set"}),
            ["s.properties[a].items.x-kubernetes-map-type"],
            id="objects in a set are atomic",
        ),
        pytest.param(
            root(a={"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
            [],
            id="the idiom of int-or-string",
        ),
    ],
)
def test_what_may_be_in_a_schema(raw: dict[str, Any], expected: list[str]) -> None:
    assert [f.field for f in faults(raw, "s")] == expected

from typing import Any

import pytest

from kcpshard.schema.structural import Structural
from kcpshard.schema.validation import compile_schema, explain

STRING: dict[str, Any] = {"type": "string"}


@pytest.mark.parametrize(
    ("raw", "value", "expected"),
    [
        pytest.param({"type": "integer"}, 3, [], id="an integer"),
        pytest.param({"type": "integer"}, 3.0, [], id="a whole float is an integer"),
        pytest.param(
            {"type": "integer"},
            True,
            ['Invalid value: "boolean": f in body must be of type integer: "boolean"'],
            id="a boolean is no integer",
        ),
        pytest.param(STRING, None, ['Invalid value: "null": f in body must be of type string: "null"'], id="null"),
        pytest.param({**STRING, "nullable": True}, None, [], id="null where allowed"),
        pytest.param(
            {**STRING, "minLength": 2},
            "a",
            ['Invalid value: "a": f in body should be at least 2 chars long'],
            id="too short",
        ),
        pytest.param({**STRING, "maxLength": 2}, "abc", ["Too long: may not be more than 2 bytes"], id="too long"),
        pytest.param(
            {**STRING, "pattern": "^a+$"}, "b", ["Invalid value: \"b\": f in body should match '^a+$'"], id="pattern"
        ),
        pytest.param(
            {**STRING, "enum": ["a", "b"]}, "c", ['Unsupported value: "c": supported values: "a", "b"'], id="enum"
        ),
        pytest.param(
            {"type": "integer", "minimum": 1},
            0,
            ["Invalid value: 0: f in body should be greater than or equal to 1"],
            id="minimum",
        ),
        pytest.param(
            {"type": "integer", "maximum": 5, "exclusiveMaximum": True},
            5,
            ["Invalid value: 5: f in body should be less than 5"],
            id="exclusive maximum",
        ),
        pytest.param({"type": "number", "multipleOf": 0.1}, 0.3, [], id="multiples of a fraction"),
        pytest.param(
            {"type": "array", "items": STRING, "maxItems": 1},
            ["a", "b"],
            ["Too many: 2: must have at most 1 items"],
            id="too many items",
        ),
        pytest.param(
            {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
            ["a", "a"],
            ['Duplicate value: "a"'],
            id="a set holds nothing twice",
        ),
        pytest.param({"type": "object", "required": ["x"]}, {}, ["Required value"], id="required"),
        pytest.param(
            {"x-kubernetes-int-or-string": True},
            1.5,
            ['Invalid value: "number": f in body must be of type integer,string: "number"'],
            id="int or string",
        ),
        pytest.param(
            {**STRING, "anyOf": [{"minLength": 3}, {"pattern": "^x"}]},
            "ab",
            [
                'Invalid value: "ab": f in body should be at least 3 chars long',
                'Invalid value: "": "f" must validate at least one schema (anyOf)',
            ],
            id="anyOf",
        ),
        pytest.param(
            {**STRING, "not": {"enum": ["a"]}},
            "a",
            ['Invalid value: "": "f" must not validate the schema (not)'],
            id="not",
        ),
        pytest.param(
            {**STRING, "format": "ipv4"}, "x", ['Invalid value: "x": f in body must be of type ipv4: "x"'], id="format"
        ),
    ],
)
def test_each_rule(raw: dict[str, Any], value: Any, expected: list[str]) -> None:
    schema = Structural(raw)
    assert [f.detail for f in explain(value, schema, "f")] == expected
    assert compile_schema(schema)(value) is (not expected)


def test_faults_carry_their_paths() -> None:
    item = {"type": "object", "properties": {"name": STRING}, "required": ["name"]}
    schema = Structural({"type": "object", "properties": {"spec": {"type": "array", "items": item}}})
    assert [f.field for f in explain({"spec": [{}, {"name": 1}]}, schema)] == ["spec[0].name", "spec[1].name"]

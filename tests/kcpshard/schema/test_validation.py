from typing import Any

import pytest

from kcpshard.schema.structural import Structural
from kcpshard.schema.validation import compile_schema, explain, list_faults

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
            {**STRING, "nullable": True, "enum": ["a"]},
            None,
            ['Unsupported value: null: supported values: "a"'],
            id="null not in the enum",
        ),
        pytest.param({**STRING, "nullable": True, "enum": ["a", None]}, None, [], id="null in the enum"),
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
            ["Too many: 2: must have at most 1 item"],
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
                'Invalid value: "": "f" must validate at least one schema (anyOf)',
                'Invalid value: "ab": f in body should be at least 3 chars long',
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
    found = [*explain(value, schema, "f"), *list_faults(value, schema, "f")]
    assert [f.detail for f in found] == expected
    assert compile_schema(schema)(value) is (not expected)


def test_faults_carry_their_paths() -> None:
    item = {"type": "object", "properties": {"name": STRING}, "required": ["name"]}
    schema = Structural({"type": "object", "properties": {"spec": {"type": "array", "items": item}}})
    assert [f.field for f in explain({"spec": [{}, {"name": 1}]}, schema)] == ["spec[0].name", "spec[1].name"]


def test_what_stays_as_it_was_is_not_judged_again() -> None:
    item = {"type": "object", "properties": {"k": STRING, "v": {"type": "integer", "maximum": 1}}}
    keyed = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    schema = Structural({"type": "object", "properties": {"keyed": keyed, "plain": {"type": "array", "items": item}}})
    old = {"keyed": [{"k": "a", "v": 5}], "plain": [{"k": "a", "v": 5}]}
    assert not list(explain(old, schema, "", old))
    new = {"keyed": [{"k": "b", "v": 7}, {"k": "a", "v": 5}], "plain": [{"k": "a", "v": 5}, {"k": "c"}]}
    assert [f.field for f in explain(new, schema, "", old)] == ["keyed[0].v", "plain[0].v"]


def test_keys_of_maps_stand_in_brackets_where_lists_hold_something_twice() -> None:
    strings = {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}
    schema = Structural({"type": "object", "properties": {"m": {"type": "object", "additionalProperties": strings}}})
    assert [f.field for f in list_faults({"m": {"x": ["a", "a"]}}, schema)] == ["m[x][1]"]


def test_a_map_list_of_something_else_is_told_of_once_and_duplicates_once_for_each_value() -> None:
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {}}
    schema = Structural({"properties": {"m": keyed}})
    wrong = list(list_faults({"m": [{"k": 1}, None, 1.5, "x", {"k": 1}]}, schema))
    assert [(f.field, f.reason) for f in wrong] == [("m[2]", "FieldValueInvalid")]
    assert wrong[0].detail == "Invalid value: 1.5: must be an object for an array of list-type map"
    twice = list(list_faults({"m": [{"k": 1}, {"k": 1}, {"k": 1}, {"k": 2}]}, schema))
    assert [(f.field, f.reason) for f in twice] == [("m[1]", "FieldValueDuplicate")]

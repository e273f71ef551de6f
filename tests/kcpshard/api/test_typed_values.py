from typing import Any

import pytest

from kcpshard.api.typed_values import typed_fault, typed_faults
from kcpshard.definitions.facts import schema_of
from kcpshard.schema.structural import structural

CONFIGMAP, ACCOUNT = schema_of("", "v1", "ConfigMap"), schema_of("", "v1", "ServiceAccount")
QUOTA = schema_of("", "v1", "ResourceQuota")

KEYED = {
    "type": "object",
    "properties": {
        "l": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "items": {"type": "object", "properties": {"uid": {"type": "string"}}},
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "value", "faults"),
    [
        pytest.param(CONFIGMAP, {"data": {"a": "1"}, "metadata": {"name": "x"}}, [], id="as declared"),
        pytest.param(CONFIGMAP, {"foo": 1}, [".foo: field not declared in schema"], id="undeclared"),
        pytest.param(
            CONFIGMAP,
            {"data": {"a": 1}},
            [".data.a: expected string, got &value.valueUnstructured{Value:1}"],
            id="wrong scalar",
        ),
        pytest.param(CONFIGMAP, {"data": ["a"]}, [".data: expected map, got &{[a]}"], id="list for a map"),
        pytest.param(CONFIGMAP, {"data": {"a": None}, "immutable": None}, [], id="null fits everywhere"),
        pytest.param(QUOTA, {"spec": {"hard": {"pods": 1, "cpu": "1"}}}, [], id="quantities are not typed"),
        pytest.param(
            CONFIGMAP,
            {"metadata": {"finalizers": ["a/b", "a/b"]}},
            ['.metadata.finalizers: duplicate entries for key [="a/b"]'],
            id="twice in a set",
        ),
        pytest.param(ACCOUNT, {"imagePullSecrets": [{"name": "b"}, {"name": "b"}]}, [], id="atomic lists may repeat"),
        pytest.param(CONFIGMAP, {"metadata": {"ownerReferences": [{"uid": "u"}, {}]}}, [], id="zero values are keys"),
        pytest.param(
            structural(KEYED),
            {"l": [{"uid": "u"}, {}]},
            [
                ".l: element 1: associative list with keys has an element that omits key field "
                '"uid" (and doesn\'t have default value)'
            ],
            id="item without its key",
        ),
        pytest.param(
            CONFIGMAP,
            {"metadata": {"ownerReferences": ["x"]}},
            [".metadata.ownerReferences: element 0: associative list with keys may not have non-map elements"],
            id="item that is no map",
        ),
        pytest.param(
            CONFIGMAP, {"immutable": "x"}, [".immutable: expected boolean, got &{x}"], id="text for a boolean"
        ),
        pytest.param(
            CONFIGMAP,
            {"metadata": {"generation": "x"}},
            [".metadata.generation: expected numeric (int or float), got string"],
            id="text for a number",
        ),
        pytest.param(None, {"anything": [1]}, [], id="no schema"),
    ],
)
def test_faults(schema: Any, value: Any, faults: list[str]) -> None:
    assert typed_faults(value, schema) == faults


def test_a_custom_kinds_metadata_and_kept_fields_are_declared_elsewhere() -> None:
    schema = structural(
        {
            "type": "object",
            "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }
    )
    assert typed_faults({"apiVersion": "v1", "kind": "K", "metadata": {}, "spec": {"x": 1}}, schema) == []
    assert typed_faults({"other": 1}, schema) == [".other: field not declared in schema"]


def test_several_faults_are_one_text() -> None:
    assert typed_fault(["a", "b"]) == "errors:\n  a\n  b"
    assert typed_fault(["a"]) == "a"

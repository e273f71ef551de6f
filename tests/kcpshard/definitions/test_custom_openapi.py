from typing import Any

import orjson

from kcpshard.definitions.custom_openapi import build, document_hash
from tests.contracts.custom_types import crd, version

NAME = "com.example.v1.Widget"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A widget.",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "port": {"x-kubernetes-int-or-string": True},
                "maybe": {"type": "object", "nullable": True, "properties": {"a": {"type": "string"}}},
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        }
    },
}


def document(path: str, schema: Any = SCHEMA) -> dict[str, Any]:
    obj = crd(version(schema=schema))
    obj["status"] = {"acceptedNames": {**obj["spec"]["names"], "listKind": "WidgetList"}}
    found: dict[str, Any] = orjson.loads(build("minimal", path, [obj]))
    return found


def test_version_3_says_everything() -> None:
    found = document("/openapi/v3/apis/example.com/v1")
    shown = found["components"]["schemas"][NAME]
    assert shown["description"] == "A widget."
    assert shown["properties"]["metadata"]["allOf"][0]["$ref"].startswith("#/components/schemas/io.k8s")
    spec = shown["properties"]["spec"]["properties"]
    assert spec["port"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert spec["maybe"]["nullable"] is True
    assert "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}" in found["paths"]


def test_version_2_says_what_old_clients_bear() -> None:
    shown = document("/openapi/v2")["definitions"][NAME]
    spec = shown["properties"]["spec"]["properties"]
    assert spec["maybe"] == {} and "anyOf" not in spec["port"]
    assert shown["properties"]["metadata"]["$ref"].startswith("#/definitions/io.k8s")
    open_ = document("/openapi/v2", {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    assert "properties" not in open_["definitions"][NAME]


def test_hashes_follow_the_definitions() -> None:
    assert document_hash("/p", "minimal", ["a", "b"]) == document_hash("/p", "minimal", ["b", "a"])
    assert document_hash("/p", "minimal", ["a"]) != document_hash("/p", "minimal", ["b"])

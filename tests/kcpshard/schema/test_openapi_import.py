"""Over the built-in kinds, as our own OpenAPI documents describe them in both versions, and single facts by hand."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
import pytest

from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.openapi import build
from kcpshard.schema.compatibility import compare
from kcpshard.schema.openapi_import import (
    GROUP_VERSION_KIND,
    definition_name,
    definitions_of,
    first_sentence,
    structural_schema,
)
from kcpshard.schema.structural import Structural
from kcpshard.schema.structural_faults import faults
from kcpshard.schema.validation import satisfies


@cache
def document(path: str) -> Any:
    return orjson.loads(build(list(builtin_resources("full")), path))


def kinds(path: str) -> Iterator[tuple[str, str]]:
    for name, definition in definitions_of(document(path)).items():
        found = definition.get(GROUP_VERSION_KIND) or ()
        if len(found) == 1 and {"metadata", "kind"} <= set(definition.get("properties") or ()):
            yield name, found[0]["kind"]


def imported(path: str, name: str) -> dict[str, Any]:
    return structural_schema(definitions_of(document(path)), name)


def deployment(path: str = "/openapi/v3/apis/apps/v1") -> dict[str, Any]:
    name = definition_name(definitions_of(document(path)), "apps", "v1", "Deployment")
    assert name
    return imported(path, name)


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3/apis/apps/v1", "/openapi/v3/api/v1"])
def test_every_built_in_kind_becomes_structural(path: str) -> None:
    seen = 0
    for name, kind in kinds(path):
        if not kind.endswith("List"):
            seen += 1
            assert faults(imported(path, name), kind) == [], name
    assert seen > 4


def test_every_built_in_kind_is_compatible_with_itself_and_narrows_to_another_version_of_openapi() -> None:
    for path in ("/openapi/v3/apis/apps/v1", "/openapi/v3/apis/batch/v1"):
        for name, kind in kinds(path):
            if kind.endswith("List"):
                continue
            newer, older = imported(path, name), imported("/openapi/v2", name)
            assert compare(newer, newer, kind).is_compatible
            found = compare(newer, older, kind)
            assert found.lcd is not None, [str(c) for c in found.conflicts]
            assert not faults(found.lcd, kind)


def test_a_deployment_is_accepted() -> None:
    container = {"name": "c", "image": "nginx", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": 1}}}
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}},
        },
    }
    assert satisfies(obj, Structural(deployment()))
    assert satisfies(obj, Structural(deployment("/openapi/v2")))


def test_ports_are_a_map_whose_protocol_has_a_default() -> None:
    for path in ("/openapi/v3/apis/apps/v1", "/openapi/v2"):
        spec = deployment(path)["properties"]["spec"]["properties"]["template"]["properties"]["spec"]
        ports = spec["properties"]["containers"]["items"]["properties"]["ports"]
        assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
        assert ports["items"]["properties"]["protocol"]["default"] == "TCP"
        assert "protocol" not in ports["items"]["required"]


def test_the_metadata_of_templates_is_not_pruned() -> None:
    template = deployment()["properties"]["spec"]["properties"]["template"]["properties"]
    assert template["metadata"]["x-kubernetes-preserve-unknown-fields"]


NODES = {
    "api.Kind": {
        "type": "object",
        "properties": {
            "spec": {"allOf": [{"$ref": "#/definitions/api.Spec"}], "default": {}, "description": "What. And more."},
            "self": {"$ref": "#/definitions/api.Kind"},
            "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
        },
        "required": ["metadata", "spec"],
        GROUP_VERSION_KIND: [{"group": "g", "version": "v1", "kind": "Kind"}],
    },
    "api.Spec": {
        "type": "object",
        "properties": {
            "size": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity"},
            "raw": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.runtime.RawExtension"},
            "words": {"type": "array", "items": {"type": "string"}, "x-kubernetes-patch-strategy": "merge"},
            "named": {"type": "string", "default": ""},
            "chosen": {"type": "string", "default": "this"},
            "free": {"type": "object"},
            "labels": {"type": "object", "additionalProperties": {"type": "string", "default": ""}},
        },
    },
}


def test_single_facts() -> None:
    schema = structural_schema(NODES, "api.Kind")
    assert schema["required"] == ["spec"] and schema["properties"]["metadata"] == {"type": "object"}
    assert schema["properties"]["self"] == {"x-kubernetes-preserve-unknown-fields": True}
    spec = schema["properties"]["spec"]
    assert spec["description"] == "What." and "default" not in spec
    fields = spec["properties"]
    assert fields["size"]["x-kubernetes-int-or-string"] and fields["size"]["pattern"]
    assert fields["raw"]["x-kubernetes-preserve-unknown-fields"]
    assert fields["words"]["x-kubernetes-list-type"] == "set"
    assert "default" not in fields["named"] and fields["chosen"]["default"] == "this"
    assert fields["free"]["x-kubernetes-preserve-unknown-fields"]
    assert fields["labels"] == {"type": "object", "additionalProperties": {"type": "string"}}


def test_descriptions_are_shortened() -> None:
    assert first_sentence("One. Two.") == "One." and first_sentence("One\nTwo") == "One"


def test_a_kind_that_is_not_there() -> None:
    assert definition_name(NODES, "g", "v2", "Kind") is None

import json
import re
from typing import Any

import pytest

from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.openapi import build, document_hash, document_paths, index

RESOURCES = builtin_resources("minimal")
PATHS = document_paths(RESOURCES)


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return {path: json.loads(build(RESOURCES, path)) for path in PATHS}


def test_every_reference_leads_somewhere(documents: dict[str, Any]) -> None:
    for path, document in documents.items():
        references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
        assert references, path
        for reference in references:
            found = document
            for step in reference.split("/"):
                found = found[step]


def test_kinds_are_found_by_their_extension(documents: dict[str, Any]) -> None:
    for resource in RESOURCES:
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        root = f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"
        schemas = documents[f"/openapi/v3/{root}"]["components"]["schemas"].values()
        assert any(kind in s.get("x-kubernetes-group-version-kind", ()) for s in schemas), kind
        assert any(
            kind in s.get("x-kubernetes-group-version-kind", ())
            for s in documents["/openapi/v2"]["definitions"].values()
        )


def test_what_explain_shows(documents: dict[str, Any]) -> None:
    config_map = documents["/openapi/v3/api/v1"]["components"]["schemas"]["io.k8s.api.core.v1.ConfigMap"]
    assert config_map["description"].startswith("ConfigMap holds configuration data")
    assert config_map["properties"]["data"]["description"].startswith("Data contains the configuration data")
    old = documents["/openapi/v2"]["definitions"]["io.k8s.api.core.v1.ConfigMap"]["properties"]["metadata"]
    assert old["$ref"] == "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    assert "default" not in json.dumps(documents["/openapi/v2"]["definitions"]["io.k8s.api.core.v1.Event"])


def test_a_patch_says_what_it_takes(documents: dict[str, Any]) -> None:
    patch = documents["/openapi/v2"]["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" in patch["consumes"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "", "kind": "ConfigMap", "version": "v1"}
    new = documents["/openapi/v3/api/v1"]["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"]
    assert {"dryRun", "fieldValidation"} <= {p["name"] for p in new["parameters"]}


def test_hashes_differ_by_document_and_set_and_are_stable() -> None:
    hashes = {path: document_hash(path, "minimal") for path in PATHS}
    assert len(set(hashes.values())) == len(PATHS)
    assert hashes[PATHS[0]] == document_hash(PATHS[0], "minimal") != document_hash(PATHS[0], "full")
    found = json.loads(index(hashes))["paths"]
    assert found["api/v1"]["serverRelativeURL"] == f"/openapi/v3/api/v1?hash={hashes['/openapi/v3/api/v1']}"
    assert len(found) == len(PATHS) - 1


def test_building_is_repeatable() -> None:
    path = "/openapi/v3/apis/coordination.k8s.io/v1"
    assert build(RESOURCES, path) == build(builtin_resources("minimal"), path)

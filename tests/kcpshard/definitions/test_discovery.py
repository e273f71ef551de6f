import json
from pathlib import Path
from typing import Any

import pytest

from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.discovery import aggregated_version, discovery_document, entity_tag, storage_version_hash

RESOURCES = builtin_resources("minimal")
GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden" / "discovery.json").read_text())
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.mark.parametrize("path", GOLDEN)
def test_documents_are_kube_apiservers(path: str) -> None:
    aggregated = "v2" if path.startswith("aggregated ") else ""
    found = discovery_document(RESOURCES, path.removeprefix("aggregated "), aggregated)
    assert found is not None
    assert json.loads(found.body) == GOLDEN[path]
    if aggregated:
        assert found.content_type == AGGREGATED and found.etag == entity_tag(found.body)


def test_v2beta1_differs_in_its_version_only() -> None:
    old, new = (discovery_document(RESOURCES, "/apis", version) for version in ("v2beta1", "v2"))
    assert old is not None and new is not None
    assert old.body.replace(b"apidiscovery.k8s.io/v2beta1", b"apidiscovery.k8s.io/v2") == new.body


@pytest.mark.parametrize(
    "path", ["", "/", "/ap", "/api/v2", "/apis/nope", "/apis/rbac.authorization.k8s.io/v9", "/a/b/c/d"]
)
def test_no_such_document(path: str) -> None:
    assert discovery_document(RESOURCES, path, "") is None


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (AGGREGATED, "v2"), (AGGREGATED.replace("v=v2", "v=v2beta1"), "v2beta1"), ("application/json", ""),
        (AGGREGATED.replace("v=v2", "v=v3"), ""), (AGGREGATED.replace("apidiscovery", "x"), ""), ("", ""),
    ],
)  # fmt: skip
def test_which_form_is_asked_for(accept: str, version: str) -> None:
    assert aggregated_version(accept) == version


def test_storage_version_hash() -> None:
    assert storage_version_hash("apps", "v1", "DaemonSet") == "dd7pWHUlMKQ="

"""What a person does with the real kubectl and own types: define, explain, list, scale, move to a new version."""

import json
from typing import Any

import pytest
import yaml

from tests.scenario.conftest import Kubectl

pytestmark = pytest.mark.process

GROUP = "shop.example.com"


def version(name: str, storage: bool, field: str) -> dict[str, Any]:
    spec = {
        "type": "object",
        "description": "What is wanted.",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 0, "description": "How many there shall be."},
            "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
            field: {"type": "string"},
        },
        "x-kubernetes-validations": [{"rule": "self.size < 100", "message": "too many"}],
    }
    status = {
        "type": "object",
        "properties": {
            "size": {"type": "integer"},
            "selector": {"type": "string"},
            "conditions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
                },
            },
        },
    }
    scale = {
        "specReplicasPath": ".spec.size",
        "statusReplicasPath": ".status.size",
        "labelSelectorPath": ".status.selector",
    }
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
        "subresources": {"status": {}, "scale": scale},
        "selectableFields": [{"jsonPath": ".spec.colour"}],
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Colour", "type": "string", "jsonPath": ".spec.colour", "priority": 1},
        ],
    }


def definition(*versions: dict[str, Any]) -> str:
    names = {"plural": "shelves", "singular": "shelf", "kind": "Shelf", "shortNames": ["sh"], "categories": ["shop"]}
    return json.dumps(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"shelves.{GROUP}"},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": list(versions)},
        }
    )


def shelf(name: str, size: int, api_version: str = f"{GROUP}/v1", **spec: Any) -> str:
    meta = {"name": name, "labels": {"app": "shop"}}
    return json.dumps({"apiVersion": api_version, "kind": "Shelf", "metadata": meta, "spec": {"size": size, **spec}})


@pytest.fixture(scope="module")
def defined(kubectl: Kubectl) -> str:
    kubectl("create", "namespace", "shop")
    kubectl("apply", "-f", "-", text=definition(version("v1", True, "note")))
    kubectl("wait", f"crd/shelves.{GROUP}", "--for=condition=Established", "--timeout=20s")
    kubectl("apply", "-n", "shop", "-f", "-", text=shelf("a", 3))
    kubectl("apply", "-n", "shop", "-f", "-", text=shelf("b", 5, colour="blue"))
    return "shop"


def shown(kubectl: Kubectl, *target: str) -> Any:
    return json.loads(kubectl("get", *target, "-o", "json").stdout)


def test_it_is_found_and_explained(kubectl: Kubectl, defined: str) -> None:
    assert f"shelves.{GROUP}" in kubectl("api-resources", "--categories=shop", "-o", "name").stdout
    told = kubectl("explain", "shelf.spec").stdout
    assert "What is wanted." in told and "How many there shall be." in told and "-required-" in told
    assert "shelf" in kubectl("get", "shop", "-n", defined, "-o", "name").stdout


def test_columns_and_selectors(kubectl: Kubectl, defined: str) -> None:
    lines = [line.split()[:2] for line in kubectl("get", "sh", "-n", defined).stdout.splitlines()]
    assert lines == [["NAME", "SIZE"], ["a", "3"], ["b", "5"]]
    assert "red" in kubectl("get", "shelves", "-n", defined, "-o", "wide").stdout
    names = kubectl("get", "shelves", "-n", defined, "--field-selector=spec.colour=blue", "-o", "name").stdout
    assert names == f"shelf.{GROUP}/b\n"
    assert "b" not in kubectl("get", "sh", "-n", defined, "-l", "app=shop", "--field-selector=spec.colour!=blue").stdout
    refused = kubectl("get", "sh", "-n", defined, "--field-selector=spec.size=3", code=1).stderr
    assert "field label not supported: spec.size" in refused


def test_faults_are_named(kubectl: Kubectl, defined: str) -> None:
    create = ("create", "-n", defined, "-f", "-")
    assert "too many" in kubectl(*create, text=shelf("bad", 100), code=1).stderr
    refused = kubectl(*create, text=shelf("bad", -1, colour="green"), code=1).stderr
    assert "spec.size" in refused and 'Unsupported value: "green"' in refused
    assert 'unknown field "spec.shape"' in kubectl(*create, text=shelf("bad", 1, shape="x"), code=1).stderr


def test_scale_status_and_wait(kubectl: Kubectl, defined: str) -> None:
    kubectl("scale", "shelf/a", "--replicas=7", "-n", defined)
    assert shown(kubectl, "shelf/a", "--subresource=scale", "-n", defined)["spec"] == {"replicas": 7}
    status = {"size": 7, "conditions": [{"type": "Ready", "status": "True"}]}
    patch = json.dumps({"status": status, "spec": {"size": 1}})
    kubectl("patch", "shelf/a", "-n", defined, "--subresource=status", "--type=merge", "-p", patch)
    kubectl("wait", "shelf/a", "-n", defined, "--for=condition=Ready", "--timeout=10s")
    kubectl("wait", "shelf/a", "-n", defined, "--for=jsonpath={.status.size}=7", "--timeout=10s")
    assert shown(kubectl, "shelf/a", "-n", defined)["spec"]["size"] == 7


def test_server_side_apply_and_diff(kubectl: Kubectl, defined: str) -> None:
    apply = ("apply", "--server-side", "-n", defined, "-f", "-")
    kubectl(*apply, text=shelf("owned", 1, colour="red"))
    refused = kubectl(*apply, "--field-manager=other", text=shelf("owned", 2, colour="red"), code=1).stderr
    assert 'conflict with "kubectl"' in refused and ".spec.size" in refused
    told = kubectl("diff", "-n", defined, "--server-side", "-f", "-", text=shelf("owned", 4, colour="red"), code=1)
    assert "+  size: 4" in told.stdout
    kubectl("delete", "shelf/owned", "-n", defined)


def test_pruning_knows_them(kubectl: Kubectl, defined: str) -> None:
    prune = ("--prune", "-l", "app=pruned", f"--prune-allowlist={GROUP}/v1/Shelf", "-n", defined)
    both = [yaml.safe_load(shelf(name, 1)) for name in ("kept", "dropped")]
    for one in both:
        one["metadata"]["labels"] = {"app": "pruned"}
    kubectl("apply", "-f", "-", *prune, text=yaml.safe_dump_all(both))
    assert f"shelf.{GROUP}/dropped pruned" in kubectl("apply", "-f", "-", *prune, text=json.dumps(both[0])).stdout
    kubectl("delete", "sh", "-l", "app=pruned", "-n", defined)


def test_it_moves_to_a_new_version_and_goes(kubectl: Kubectl, defined: str) -> None:
    """Storage moves on, objects are written anew, the old version is dropped: what a storage migration does."""
    crd = ("crd", f"shelves.{GROUP}")
    kubectl("apply", "-f", "-", text=definition(version("v1", False, "note"), version("v2", True, "note")))
    assert shown(kubectl, *crd)["status"]["storedVersions"] == ["v1", "v2"]
    refused = kubectl("apply", "-f", "-", text=definition(version("v2", True, "note")), code=1).stderr
    assert "status.storedVersions" in refused
    for name in ("a", "b"):
        found = shown(kubectl, f"shelves.v2.{GROUP}", name, "-n", defined)
        assert found["apiVersion"] == f"{GROUP}/v2"
        before = found["metadata"]["resourceVersion"]
        kubectl("replace", "-f", "-", text=json.dumps(found))
        after = shown(kubectl, f"shelves.v2.{GROUP}", name, "-n", defined)["metadata"]["resourceVersion"]
        assert after != before, "a write that changes nothing but the stored version is a write"
    patch = json.dumps({"status": {"storedVersions": ["v2"]}})
    kubectl("patch", *crd, "--subresource=status", "--type=merge", "-p", patch)
    kubectl("apply", "-f", "-", text=definition(version("v2", True, "note")))
    assert shown(kubectl, "sh/b", "-n", defined)["spec"] == {"size": 5, "colour": "blue"}
    kubectl("delete", *crd, "--timeout=30s")
    gone = kubectl("get", "shelves", "-n", defined, code=1).stderr
    assert "doesn't have a resource type" in gone or "could not find the requested resource" in gone

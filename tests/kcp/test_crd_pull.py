"""From our own server with all of Kubernetes' kinds; a real kube-apiserver is asked in the scenarios."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

import kcpfront
from kcp.__main__ import main
from kcp.cluster_access import connect
from kcpfront.embedding import EmbeddedCluster
from kcpshard.schema.structural_faults import faults


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with kcpfront.embedded(api_set="full") as server:
        yield server.create_cluster()


def run(cluster: EmbeddedCluster, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["crd-pull", *arguments, "--kubeconfig", str(cluster.kubeconfig)])


def test_built_in_kinds(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    done = run(cluster, "deployments.apps", "pods", "--directory", str(tmp_path))
    assert done.exit_code == 0, done.output
    made = {path.name: yaml.safe_load(path.read_text()) for path in tmp_path.iterdir()}
    assert set(made) == {"deployments.apps.yaml", "pods.yaml"}
    assert made["pods.yaml"]["metadata"]["name"] == "pods.core" and made["pods.yaml"]["spec"]["group"] == ""
    for document in made.values():
        version = document["spec"]["versions"][0]
        assert "status" in version["subresources"]
        assert faults(version["schema"]["openAPIV3Schema"], "schema") == []


def test_a_custom_kind_keeps_its_own_schema(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "string"}}}}}
    column = {"name": "Size", "type": "string", "jsonPath": ".spec.size"}
    versions = [
        {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": schema},
            "additionalPrinterColumns": [column],
        }
    ]
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "sizes.example.dev"},
        "spec": {
            "group": "example.dev",
            "scope": "Namespaced",
            "names": {"plural": "sizes", "kind": "Size"},
            "versions": versions,
        },
    }
    access = connect(str(cluster.kubeconfig), None, None)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    access.request("POST", path, body=definition)
    for _ in range(100):
        done = run(cluster, "sizes.example.dev", "--directory", str(tmp_path))
        if done.exit_code == 0:
            break
    made = yaml.safe_load((tmp_path / "sizes.example.dev.yaml").read_text())
    version = made["spec"]["versions"][0]
    assert version["schema"]["openAPIV3Schema"] == schema and version["additionalPrinterColumns"] == [column]


def test_what_is_not_there_is_an_error(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    done = run(cluster, "nothing", "--directory", str(tmp_path))
    assert done.exit_code == 1 and "nothing" in done.stderr

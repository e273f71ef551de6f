import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

import kcpfront
from kcp.__main__ import main
from kcp.apply import shown
from kcp.cluster_access import ClusterAccess, connect
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer

MAPS = "/api/v1/namespaces/{}/configmaps"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as started:
        yield started


@pytest.fixture
def cluster(server: EmbeddedServer) -> EmbeddedCluster:
    return server.create_cluster()


@pytest.fixture
def access(cluster: EmbeddedCluster) -> ClusterAccess:
    return connect(str(cluster.kubeconfig), None, None)


def run(cluster: EmbeddedCluster, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["apply", *arguments, "--kubeconfig", str(cluster.kubeconfig)])


def write(directory: Path, name: str, label: str = "x", namespace: str = "") -> None:
    meta = {"name": name, "labels": {"l": label}} | ({"namespace": namespace} if namespace else {})
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"k": "v"}}
    (directory / f"{name}.yaml").write_text(yaml.safe_dump(document))


def names(access: ClusterAccess, namespace: str = "default") -> list[str]:
    found = [obj["metadata"]["name"] for obj in access.items(MAPS.format(namespace))]
    return [name for name in found if name != "kube-root-ca.crt"]


def test_a_directory_at_once(cluster: EmbeddedCluster, access: ClusterAccess, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name)
    done = run(cluster, "--atomic", "-f", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert done.output == "configmap/a created\nconfigmap/b created\n"
    first, second = (access.request("GET", f"{MAPS.format('default')}/{name}") for name in "ab")
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    again = run(cluster, "--atomic", "-f", str(tmp_path))
    assert again.output == "configmap/a unchanged\nconfigmap/b unchanged\n"


def test_nothing_if_one_is_refused(cluster: EmbeddedCluster, access: ClusterAccess, tmp_path: Path) -> None:
    write(tmp_path, "a")
    write(tmp_path, "b", label="not a label!")
    done = run(cluster, "--atomic", "-f", str(tmp_path))
    assert done.exit_code == 1 and "nothing was applied" in done.output
    assert f"{tmp_path}/b.yaml: ConfigMap b" in done.output and "a.yaml" not in done.output
    assert names(access) == []


def test_namespaces_and_dry_runs(cluster: EmbeddedCluster, access: ClusterAccess, tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "z.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
    tried = run(cluster, "--atomic", "-f", str(tmp_path), "-n", "shop", "--dry-run=server", "-o", "name")
    assert tried.output == "namespace/shop\nconfigmap/a\n", tried.output
    assert access.get("/api/v1/namespaces/shop") is None
    assert run(cluster, "--atomic", "-f", str(tmp_path), "-n", "shop").exit_code == 0
    assert names(access, "shop") == ["a"]
    write(tmp_path, "b", namespace="other")
    refused = run(cluster, "--atomic", "-f", str(tmp_path), "-n", "shop")
    assert refused.exit_code == 1 and "other" in refused.output


def test_others_fields_are_taken_by_force_only(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    write(tmp_path, "a")
    assert run(cluster, "--atomic", "-f", str(tmp_path), "--field-manager", "one").exit_code == 0
    write(tmp_path, "a", label="y")
    conflict = run(cluster, "--atomic", "-f", str(tmp_path), "--field-manager", "two")
    assert conflict.exit_code == 1 and "conflict" in conflict.output
    forced = run(cluster, "--atomic", "-f", str(tmp_path), "--field-manager", "two", "--force-conflicts", "-o", "json")
    assert json.loads(forced.output)["items"][0]["metadata"]["labels"] == {"l": "y"}
    shown_again = run(cluster, "--atomic", "-f", str(tmp_path), "--field-manager", "two", "-o", "yaml")
    assert yaml.safe_load(shown_again.output)["items"][0]["metadata"]["name"] == "a"


def test_it_says_what_it_is_for(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    write(tmp_path, "a")
    assert "--atomic" in run(cluster, "-f", str(tmp_path)).output


def test_names_of_types_with_a_group() -> None:
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    answer = {"status": {"results": [{"outcome": "Created", "object": obj}]}}
    assert shown(answer, "text") == "deployment.apps/web created\n"

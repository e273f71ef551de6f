import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

import kcpfront
from kcp.__main__ import main
from kcp.cluster_access import ClusterAccess, connect
from kcp.restore import _create
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer

MAPS = "/api/v1/namespaces/{}/configmaps"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.dev"},
    "spec": {
        "group": "example.dev",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
WIDGETS = "/apis/example.dev/v1/namespaces/default/widgets"


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


def put(access: ClusterAccess, name: str, value: str, namespace: str = "default", **metadata: Any) -> dict[str, Any]:
    path = MAPS.format(namespace)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"k": value}}
    there = access.get(f"{path}/{name}") is not None
    return access.request("PUT" if there else "POST", f"{path}/{name}" if there else path, body=body)


def value(access: ClusterAccess, name: str, namespace: str = "default") -> str | None:
    found = access.get(f"{MAPS.format(namespace)}/{name}")
    return found["data"]["k"] if found else None


def run(cluster: EmbeddedCluster, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["restore", *arguments, "--kubeconfig", str(cluster.kubeconfig)])


def version(access: ClusterAccess) -> str:
    found: str = access.request("GET", MAPS.format("default"))["metadata"]["resourceVersion"]
    return found


def test_one_object_that_was_changed_and_one_that_was_deleted(cluster: EmbeddedCluster, access: ClusterAccess) -> None:
    put(access, "a", "old")
    put(access, "b", "old")
    then = version(access)
    put(access, "a", "new")
    access.request("DELETE", MAPS.format("default") + "/b")
    for name in "ab":
        done = run(cluster, f"cm/{name}", "--to", then)
        assert done.exit_code == 0, done.output
        assert value(access, name) == "old"
    assert run(cluster, "cm/a", "--to", then).output == ""


def test_an_object_that_was_not_there_is_deleted(cluster: EmbeddedCluster, access: ClusterAccess) -> None:
    then = version(access)
    put(access, "a", "new")
    assert "deleted" in run(cluster, "cm/a", "--to", then).output
    assert value(access, "a") is None
    assert "neither" in run(cluster, "cm/other", "--to", then).output


def test_a_namespace(cluster: EmbeddedCluster, access: ClusterAccess) -> None:
    put(access, "a", "old")
    put(access, "b", "old")
    then = version(access)
    put(access, "a", "new")
    access.request("DELETE", MAPS.format("default") + "/b")
    put(access, "c", "new")
    told = run(cluster, "--all", "--to", then, "--dry-run").output
    assert "would be changed back" in told and value(access, "a") == "new"
    assert run(cluster, "--all", "--to", then).exit_code == 0
    assert [value(access, name) for name in "abc"] == ["old", "old", "new"]
    assert run(cluster, "--all", "--to", then, "--prune").exit_code == 0
    assert value(access, "c") is None


def test_a_logical_cluster_with_its_types(cluster: EmbeddedCluster, access: ClusterAccess) -> None:
    access.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body=CRD)
    widget = {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    _create(access, WIDGETS, widget)
    then = version(access)
    access.request("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.dev")
    _until_gone(access, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.dev")
    done = run(cluster, "--everything", "--to", then)
    assert done.exit_code == 0, done.output
    assert access.request("GET", f"{WIDGETS}/w")["spec"] == {"size": 1}


def _until_gone(access: ClusterAccess, path: str) -> None:
    deadline = time.monotonic() + 10
    while access.get(path) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert access.get(path) is None


def test_what_cannot_be_meant(cluster: EmbeddedCluster) -> None:
    for arguments in ([], ["cm/a", "--all"], ["cm/a", "--prune"]):
        done = run(cluster, *arguments, "--to", "1")
        assert done.exit_code == 1 and done.output.startswith("kcp: "), done.output


def test_one_failure_does_not_stop_the_rest(cluster: EmbeddedCluster, access: ClusterAccess) -> None:
    put(access, "a", "old")
    put(access, "b", "old")
    access.request("PUT", MAPS.format("default") + "/a", body=_immutable(access, "a"))
    then_of_b = version(access)
    access.request("DELETE", MAPS.format("default") + "/a")
    access.request("POST", MAPS.format("default"), body=_immutable(None, "a"))
    put(access, "b", "new")
    done = run(cluster, "--all", "--to", then_of_b)
    assert done.exit_code == 1 and "configmaps/a in namespace default failed" in done.output
    assert value(access, "b") == "old"


def _immutable(access: ClusterAccess | None, name: str) -> dict[str, Any]:
    data = {"k": "old"} if access else {"k": "other"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data, "immutable": True}

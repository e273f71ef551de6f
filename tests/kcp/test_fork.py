import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

import kcpfront
from kcp.__main__ import main
from kcp.cluster_access import ApiFailure, ClusterAccess, connect
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as started:
        yield started


@pytest.fixture
def cluster(server: EmbeddedServer) -> EmbeddedCluster:
    """With config maps a, b and c."""
    made = server.create_cluster()
    access = connect(str(made.kubeconfig), None, None)
    for name in ("a", "b", "c"):
        write(access, name, "1")
    return made


def write(access: ClusterAccess, name: str, value: str) -> None:
    current = access.get(f"{MAPS}/{name}")
    body: dict[str, Any] = current or {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    body["data"] = {"k": value}
    access.request("PUT" if current else "POST", f"{MAPS}/{name}" if current else MAPS, body=body)


def value(access: ClusterAccess, name: str) -> str | None:
    found = access.get(f"{MAPS}/{name}")
    return None if found is None else found["data"]["k"]


def run(cluster: EmbeddedCluster, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--kubeconfig", str(cluster.kubeconfig)])


def forked(cluster: EmbeddedCluster, name: str) -> tuple[ClusterAccess, ClusterAccess]:
    done = run(cluster, "fork", cluster.path, name)
    assert done.exit_code == 0, done.output
    return connect(str(cluster.kubeconfig), None, None), connect(str(cluster.kubeconfig), None, name)


def test_each_goes_its_own_way(cluster: EmbeddedCluster) -> None:
    origin, fork = forked(cluster, "own-way")
    assert origin.request("GET", f"{MAPS}/a") == fork.request("GET", f"{MAPS}/a")
    write(origin, "a", "origin")
    write(fork, "b", "fork")
    fork.request("DELETE", f"{MAPS}/c")
    assert [value(fork, name) for name in "abc"] == ["1", "fork", None]
    assert [value(origin, name) for name in "abc"] == ["origin", "1", "1"]
    done = run(cluster, "diff", cluster.path, "own-way", "-n", "default")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "~ configmaps/a in namespace default", '      data.k: "origin" → "1"',
        "~ configmaps/b in namespace default", '      data.k: "1" → "fork"',
        "- configmaps/c in namespace default", *done.output.splitlines()[5:],
    ]  # fmt: skip
    names = run(cluster, "diff", cluster.path, "own-way", "-n", "default", "-o", "name").output.splitlines()
    assert len(names) == 3
    rows = json.loads(run(cluster, "diff", cluster.path, "own-way", "-n", "default", "-o", "json").output)
    assert rows[2]["b"] is None and rows[0]["a"]["data"] == {"k": "origin"}
    at = fork.request("GET", "/api/v1/namespaces/kube-system/configmaps/kcp-fork")["metadata"]["resourceVersion"]
    assert run(cluster, "diff", cluster.path, "own-way", "--at", at).exit_code == 0


def test_changes_are_promoted(cluster: EmbeddedCluster) -> None:
    origin, fork = forked(cluster, "promoted")
    write(fork, "a", "fork")
    fork.request("DELETE", f"{MAPS}/b")
    write(fork, "new", "fork")
    write(origin, "c", "origin")
    tried = run(cluster, "promote", "promoted", "--dry-run")
    assert "3 changes of promoted would be" in tried.output and value(origin, "a") == "1"
    done = run(cluster, "promote", "promoted")
    assert done.exit_code == 0 and "3 changes of promoted are in" in done.output, done.output
    assert [value(origin, name) for name in ("a", "b", "c", "new")] == ["fork", None, "origin", "fork"]
    first, second = (origin.request("GET", f"{MAPS}/{name}") for name in ("a", "new"))
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert "0 changes" in run(cluster, "promote", "promoted").output


def test_conflicts_are_listed_and_nothing_is_written(cluster: EmbeddedCluster) -> None:
    origin, fork = forked(cluster, "conflicts")
    write(fork, "a", "fork")
    write(fork, "b", "fork")
    write(origin, "b", "origin")
    fork.request("DELETE", f"{MAPS}/c")
    write(origin, "c", "origin")
    done = run(cluster, "promote", "conflicts")
    assert done.exit_code == 1 and "2 of 3 changes are in conflict" in done.output
    assert "conflict: configmaps/b in namespace default: changed in both" in done.output
    assert [value(origin, name) for name in "abc"] == ["1", "origin", "origin"]
    assert run(cluster, "promote", "conflicts", "--force", "--skip").exit_code == 1
    assert run(cluster, "promote", "conflicts", "--skip").exit_code == 0
    assert [value(origin, name) for name in "abc"] == ["fork", "origin", "origin"]
    assert run(cluster, "promote", "conflicts", "--force").exit_code == 0
    assert [value(origin, name) for name in "abc"] == ["fork", "fork", None]


def test_definitions_come_first(cluster: EmbeddedCluster) -> None:
    origin, fork = forked(cluster, "definitions")
    names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.dev"},
        "spec": {"group": "example.dev", "names": names, "scope": "Cluster", "versions": [version]},
    }  # fmt: skip
    fork.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body=definition)
    gadget = {"apiVersion": "example.dev/v1", "kind": "Gadget", "metadata": {"name": "g"}}
    while True:
        try:
            fork.request("POST", "/apis/example.dev/v1/gadgets", body=gadget)
            break
        except ApiFailure as failure:
            if failure.code != 404:
                raise
    done = run(cluster, "promote", "definitions")
    assert done.exit_code == 0, done.output
    assert origin.get("/apis/example.dev/v1/gadgets/g") is not None


def test_a_workspace_may_be_a_fork(server: EmbeddedServer) -> None:
    root = connect(str(server.kubeconfig), None, "root")
    head = {"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace"}
    root.request("POST", "/apis/tenancy.kcp.io/v1alpha1/workspaces", body={**head, "metadata": {"name": "prod"}})
    prod = connect(str(server.kubeconfig), None, "root:prod")
    while True:
        try:
            write(prod, "a", "1")
            break
        except ApiFailure as failure:
            if failure.code not in (403, 404):
                raise
    command = ["--kubeconfig", str(server.kubeconfig)]
    done = CliRunner().invoke(main, ["fork", "root:prod", "root:try", *command])
    assert done.exit_code == 0, done.output
    fork = connect(str(server.kubeconfig), None, "root:try")
    assert value(fork, "a") == "1"
    own = fork.request("GET", "/apis/core.kcp.io/v1alpha1/logicalclusters/cluster")
    assert own["metadata"]["annotations"]["kcp.io/path"] == "root:try" and own["spec"]["owner"]["name"] == "try"
    write(fork, "a", "2")
    assert CliRunner().invoke(main, ["promote", "root:try", *command]).exit_code == 0
    assert value(prod, "a") == "2"
    missing = CliRunner().invoke(main, ["fork", "root:none", "root:other", *command])
    assert missing.exit_code == 1 and "no logical cluster root:none" in missing.output, missing.output
    shown = {kind: len(list(fork.items(f"/api/v1/{kind}"))) for kind in ("configmaps", "serviceaccounts", "namespaces")}
    gone(root, "prod")
    assert value(fork, "a") == "2"
    assert shown == {kind: len(list(fork.items(f"/api/v1/{kind}"))) for kind in shown}
    gone(root, "try")
    # The path is free again, and what is made there begins with nothing of the fork.
    root.request("POST", "/apis/tenancy.kcp.io/v1alpha1/workspaces", body={**head, "metadata": {"name": "try"}})
    until_found(root, "try")
    assert fork.get(f"{MAPS}/a") is None


def gone(root: ClusterAccess, name: str) -> None:
    path = f"/apis/tenancy.kcp.io/v1alpha1/workspaces/{name}"
    root.request("DELETE", path)
    deadline = time.monotonic() + 30
    while root.get(path) is not None:
        assert time.monotonic() < deadline, root.get(path)
        time.sleep(0.05)


def until_found(root: ClusterAccess, name: str) -> None:
    path = f"/apis/tenancy.kcp.io/v1alpha1/workspaces/{name}"
    deadline = time.monotonic() + 30
    while (root.request("GET", path).get("status") or {}).get("phase") != "Ready":
        assert time.monotonic() < deadline, root.get(path)
        time.sleep(0.05)


def test_what_is_no_fork(cluster: EmbeddedCluster) -> None:
    assert "is no fork" in run(cluster, "promote", cluster.path).output
    assert run(cluster, "fork", cluster.path, "Not-A-Path").exit_code == 1
    forked(cluster, "taken")
    assert "already exists" in run(cluster, "fork", cluster.path, "taken").output

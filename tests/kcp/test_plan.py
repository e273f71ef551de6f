"""Plans of a logical cluster whose objects are as the controllers would have left them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

import kcpfront
from kcp.__main__ import main
from kcp.cluster_access import ApiFailure, ClusterAccess, connect
from kcpfront.embedding import EmbeddedCluster
from kcpsyncer.definitions import definitions
from kcpsyncer.placement.leafs import leaf_of, parts_of

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLUSTERS = "/apis/cluster.example.dev/v1alpha1/clusters"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE = "application/merge-patch+json"


def deployment(replicas: int) -> dict[str, Any]:
    pod = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }


def cluster(access: ClusterAccess, name: str, region: str) -> None:
    body = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "spec": {}}
    access.request("POST", CLUSTERS, body={**body, "metadata": {"name": name, "labels": {"region": region}}})
    status = {"status": {"syncedResources": ["deployments.apps"]}}
    access.request("PATCH", f"{CLUSTERS}/{name}/status", body=status, content_type=MERGE)


@pytest.fixture(scope="module")
def logical() -> Iterator[EmbeddedCluster]:
    with kcpfront.embedded(api_set="full") as server:
        made = server.create_cluster()
        access = connect(str(made.kubeconfig), None, None)
        for definition in definitions():
            access.request("POST", CRDS, body=definition)
        for _ in range(1000):
            try:
                access.request("GET", CLUSTERS)
                access.request("GET", "/apis/placement.kcp.dev/v1alpha1/clusterplacementpolicies")
                break
            except ApiFailure:
                continue
        cluster(access, "east", "eu")
        cluster(access, "west", "us")
        root = access.request("POST", DEPLOYMENTS, body=deployment(6))
        for part in parts_of({"east": 3, "west": 3}):
            access.request("POST", DEPLOYMENTS, body=leaf_of({**deployment(6), **root}, part))
        yield made


def run(logical: EmbeddedCluster, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["plan", "--kubeconfig", str(logical.kubeconfig), *arguments])


def moves(done: Result) -> list[tuple[str, int, int]]:
    return [(each["cluster"], each["before"], each["after"]) for each in json.loads(done.output)["moves"]]


def test_nothing_would_move(logical: EmbeddedCluster) -> None:
    done = run(logical)
    assert (done.exit_code, done.output) == (0, "Nothing would move.\n")


def test_a_cluster_dies_or_is_drained(logical: EmbeddedCluster) -> None:
    for option in ("--lose", "--drain"):
        done = run(logical, option, "west", "-o", "json")
        assert done.exit_code == 0
        assert moves(done) == [("east", 3, 6), ("west", 3, 0)]
    assert "takes over from west" in run(logical, "--lose", "west").output
    unknown = run(logical, "--lose", "north")
    assert unknown.exit_code == 1 and "there is no cluster north" in unknown.output


def test_all_die(logical: EmbeddedCluster) -> None:
    done = run(logical, "--lose", "west", "--lose", "east")
    assert done.exit_code == 1
    assert "deployment/default/web: 6 replicas have no place" in done.output


def test_scaling(logical: EmbeddedCluster) -> None:
    done = run(logical, "--scale", "deploy/web=9", "-o", "yaml")
    assert [(m["cluster"], m["after"]) for m in yaml.safe_load(done.output)["moves"]] == [("east", 5), ("west", 4)]
    for wrong in ("deploy/web", "deploy/web=many", "deploy/nothing=3"):
        assert run(logical, "--scale", wrong).exit_code == 1


def test_a_policy_that_is_not_applied_yet(logical: EmbeddedCluster, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    spec: dict[str, Any] = {"clusters": {"selector": {"matchLabels": {"region": "eu"}}}}
    policy = {"apiVersion": "placement.kcp.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "eu"}}
    path.write_text(yaml.safe_dump({**policy, "spec": spec}))
    done = run(logical, "-f", str(path), "-o", "json")
    assert moves(done) == [("east", 3, 6), ("west", 3, 0)]
    # nothing was written
    access = connect(str(logical.kubeconfig), None, None)
    assert list(access.items("/apis/placement.kcp.dev/v1alpha1/placementpolicies")) == []
    spec["shares"] = [{"minReplicas": 3, "maxReplicas": 2}]
    path.write_text(yaml.safe_dump({**policy, "spec": spec}))
    refused = run(logical, "-f", str(path))
    assert refused.exit_code == 1 and "spec.shares[0].maxReplicas" in refused.output
    path.write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}")
    assert run(logical, "-f", str(path)).exit_code == 1


def test_a_cluster_edited(logical: EmbeddedCluster, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    spec = {"taints": [{"key": "broken", "effect": "NoExecute"}]}
    body = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": "west"}, "spec": spec}
    path.write_text(yaml.safe_dump(body))
    assert moves(run(logical, "-f", str(path), "-o", "json")) == [("east", 3, 6), ("west", 3, 0)]


def test_where_there_are_no_clusters(tmp_path: Path) -> None:
    with kcpfront.embedded() as server:
        done = run(server.create_cluster())
    assert done.exit_code == 1 and "no clusters are defined" in done.output

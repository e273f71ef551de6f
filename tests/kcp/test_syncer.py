import time
from collections.abc import Iterator

import pytest
import yaml
from click.testing import CliRunner, Result

import kcpfront
from kcp.__main__ import main
from kcp.cluster_access import connect
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer
from kcpsyncer.definitions import definitions
from kcpsyncer.kubeconfig import parse

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLUSTERS = "/apis/cluster.example.dev/v1alpha1/clusters"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded(api_set="full") as started:
        yield started


@pytest.fixture
def cluster(server: EmbeddedServer) -> EmbeddedCluster:
    made = server.create_cluster()
    access = connect(str(made.kubeconfig), None, None)
    for definition in definitions():
        access.request("POST", CRDS, body=definition)
    for _ in range(200):
        if access.get(CLUSTERS) is not None:
            break
        time.sleep(0.05)
    return made


def join(cluster: EmbeddedCluster, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["syncer", "join", "east", *arguments, "--kubeconfig", str(cluster.kubeconfig)])


def test_a_cluster_without_a_kubeconfig_is_registered(cluster: EmbeddedCluster) -> None:
    done = join(cluster, "--server", "https://outside/clusters/x", "--resource", "pods")
    assert done.exit_code == 0, done.output
    access = connect(str(cluster.kubeconfig), None, None)
    found = access.get(f"{CLUSTERS}/east")
    assert found is not None and found["spec"] == {"resources": ["pods"]}
    (secret,) = (each for each in yaml.safe_load_all(done.output) if each["kind"] == "Secret")
    used = parse(secret["stringData"]["kubeconfig"])
    assert used.server == "https://outside/clusters/x" and used.authority
    id_ = used.token.partition(".")[0]
    assert access.get(f"/api/v1/namespaces/kube-system/secrets/bootstrap-token-{id_}") is not None


def test_it_can_be_applied_at_once(cluster: EmbeddedCluster, server: EmbeddedServer) -> None:
    physical = server.create_cluster()
    done = join(cluster, "--apply", str(physical.kubeconfig))
    assert done.exit_code == 0, done.output
    assert "deployment/kcp-agent-east applied" in done.output
    access = connect(str(physical.kubeconfig), None, None)
    assert access.get("/apis/apps/v1/namespaces/kcp-syncer/deployments/kcp-agent-east") is not None


def test_a_cluster_that_we_call_is_not_joined(cluster: EmbeddedCluster) -> None:
    body = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": "east"}}
    connect(str(cluster.kubeconfig), None, None).request("POST", CLUSTERS, body={**body, "spec": {"kubeconfig": "k"}})
    done = join(cluster)
    assert done.exit_code == 1 and "has a kubeconfig" in done.stderr

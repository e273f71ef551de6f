"""Examples; tests/differential/node_access.py judges thousands beside a real kube-apiserver."""

from collections.abc import AsyncIterator

import pytest

from kcpshard.api.requests import Identity
from tests.contracts.api_client import MERGE, ApiClient
from tests.contracts.full_cluster import full_cluster

NODES = "/api/v1/nodes"


@pytest.fixture
async def kubelet() -> AsyncIterator[ApiClient]:
    """An administrator and a node, so that authorisation lets it do everything."""
    async with full_cluster() as client:
        cluster = client.shard.store.find_cluster("root")
        assert cluster is not None
        identity = Identity("system:node:n", "", ("system:nodes", "system:masters"), scope=cluster.id)
        yield ApiClient(client.shard, identity=identity)


async def test_a_node_writes_itself_only(kubelet: ApiClient) -> None:
    assert (await kubelet.do("POST", NODES, {"metadata": {"name": "n"}})).code == 201
    reply = await kubelet.do("POST", NODES, {"metadata": {"name": "m"}})
    assert reply.message == 'nodes "m" is forbidden: node "n" is not allowed to modify node "m"'
    taint = {"spec": {"taints": [{"key": "t", "effect": "NoSchedule"}]}}
    reply = await kubelet.do("PATCH", f"{NODES}/n", taint, MERGE)
    assert reply.message == 'nodes "n" is forbidden: node "n" is not allowed to modify taints'
    labels = {"metadata": {"labels": {"x.k8s.io/a": "b", "mine": "x"}}}
    reply = await kubelet.do("PATCH", f"{NODES}/n/status", labels, MERGE)
    assert reply.message == 'nodes "n" is forbidden: is not allowed to modify labels: x.k8s.io/a'


async def test_leases_of_its_name(kubelet: ApiClient) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
    assert (await kubelet.do("POST", leases.format("kube-node-lease"), {"metadata": {"name": "n"}})).code == 201
    reply = await kubelet.do("POST", leases.format("kube-node-lease"), {"metadata": {"name": "m"}})
    assert reply.code == 403 and reply.message.endswith("with the same name as the requesting node")
    reply = await kubelet.do("POST", leases.format("default"), {"metadata": {"name": "n"}})
    assert reply.code == 403 and "kube-node-lease" in reply.message


async def test_somebody_else_is_not_restricted(kubelet: ApiClient) -> None:
    kubelet.identity = kubelet.identity._replace(username="somebody")
    assert (await kubelet.do("POST", NODES, {"metadata": {"name": "m"}})).code == 201

"""Examples; tests/differential/node_access.py judges many beside a real kube-apiserver."""

from typing import Any

from kcpshard.api.requests import Identity
from tests.contracts.api_client import ApiClient, Reply
from tests.contracts.full_cluster import PODS, full_cluster, pod

DRIVERS = "/apis/storage.k8s.io/v1/csidrivers"


async def test_tokens_for_pods_of_the_node_and_audiences_of_their_volumes() -> None:
    async with full_cluster() as client:
        await client.create(DRIVERS, {"metadata": {"name": "d"}, "spec": {"tokenRequests": [{"audience": "driver"}]}})
        volumes = [
            {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]}},
            {"name": "c", "csi": {"driver": "d"}},
        ]
        made = await client.create(PODS, pod("p", nodeName="n", volumes=volumes))
        other = await client.create(PODS, pod("q", nodeName="m"))
        cluster = client.shard.store.find_cluster("root")
        assert cluster is not None
        kubelet = ApiClient(client.shard, identity=Identity("system:node:n", "", ("system:nodes",), scope=cluster.id))

        async def ask(bound: dict[str, Any], *audiences: str) -> Reply:
            meta = bound["metadata"]
            reference = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
            spec = {"boundObjectRef": reference, "audiences": audiences}
            return await kubelet.do("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": spec})

        for audience in ("vault", "driver"):  # let through, to where there is no key in this test
            assert (await ask(made, audience)).code == 503
        assert 'audience "x" not found in pod spec volume' in (await ask(made, "x")).message
        assert "0 or 1 audiences" in (await ask(made, "vault", "driver")).message
        assert "a different node" in (await ask(other, "vault")).message

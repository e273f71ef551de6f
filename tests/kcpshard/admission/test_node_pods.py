from typing import Any

import pytest

from kcpshard.admission.node_pods import _referenced
from kcpshard.api.requests import Identity
from tests.contracts.api_client import MERGE, ApiClient
from tests.contracts.full_cluster import PODS, full_cluster, pod


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ({}, ""),
        ({"serviceAccountName": "a"}, "serviceaccounts"),
        ({"imagePullSecrets": [{"name": "a"}]}, "secrets"),
        ({"containers": [{"envFrom": [{"configMapRef": {"name": "a"}}]}]}, "configmaps"),
        ({"resourceClaims": [{"name": "a"}]}, "resourceclaims"),
        ({"volumes": [{"emptyDir": {}}, {"csi": {"driver": "d"}}]}, "csidrivers (via CSI volumes)"),
        (
            {"volumes": [{"projected": {"sources": [{"downwardAPI": {}}, {"serviceAccountToken": {}}]}}]},
            "serviceaccounts (via projected volumes)",
        ),
    ],
)
def test_what_a_mirror_pod_may_not_refer_to(spec: dict[str, Any], kind: str) -> None:
    assert _referenced(spec) == kind


async def test_a_node_tells_of_its_own_pods_only() -> None:
    async with full_cluster() as client:
        for name, node in (("mine", "n"), ("theirs", "m")):
            await client.create(PODS, pod(name, nodeName=node))
        cluster = client.shard.store.find_cluster("root")
        assert cluster is not None
        kubelet = ApiClient(client.shard, identity=Identity("system:node:n", "", ("system:nodes",), scope=cluster.id))
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        assert (await kubelet.do("PATCH", f"{PODS}/mine/status", ready, MERGE)).code == 200
        reply = await kubelet.do("PATCH", f"{PODS}/theirs/status", ready, MERGE)
        assert reply.code == 403 and "with spec.nodeName set to itself" in reply.message
        reply = await kubelet.do("PATCH", f"{PODS}/mine/status", {"metadata": {"labels": {"a": "b"}}}, MERGE)
        assert reply.message == 'pods "mine" is forbidden: node "n" cannot update labels through pod status'
        assert (await kubelet.do("DELETE", f"{PODS}/theirs")).code == 403
        assert (await kubelet.do("DELETE", f"{PODS}/mine")).code == 200

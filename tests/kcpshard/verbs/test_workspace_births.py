from kcpshard.tenancy.logical_clusters import Birth, document
from kcpshard.tenancy.names import TypeReference
from kcpshard.verbs.workspace_births import bear
from tests.contracts.api_client import ApiClient, memory_shard


async def test_a_service_account_of_another_logical_cluster_is_somebody_else() -> None:
    shard = memory_shard()
    creator = {
        "username": "system:serviceaccount:a:b",
        "extra": {"authentication.kcp.io/cluster-name": ["root:x"]},
    }
    workspace = {"metadata": {"name": "y", "uid": "u"}}
    birth = Birth("root:x:y", "https://x", TypeReference("root", "t"), workspace, "root:x", creator)
    cluster, _, stored = bear(shard, "root:x:y", document(birth))
    assert cluster.path == "root:x:y" and stored["metadata"]["uid"]
    client = ApiClient(shard, "root:x:y")
    found = await client.get("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/workspace-admin")
    assert found["subjects"][0]["name"] == "system:kcp:serviceaccount:root:x:a:b"

from tests.contracts.full_cluster import PODS, full_cluster, pod

ZONE = "topology.kubernetes.io/zone"


async def test_a_pod_that_comes_with_its_node_learns_where_that_is() -> None:
    async with full_cluster() as client:
        await client.create("/api/v1/nodes", {"metadata": {"name": "n", "labels": {ZONE: "z", "other": "x"}}})
        made = await client.create(PODS, pod("a", nodeName="n"))
        assert made["metadata"]["labels"] == {"app": "a", ZONE: "z"}
        assert (await client.create(PODS, pod("b", nodeName="gone")))["metadata"]["labels"] == {"app": "a"}

from kcpshard.controllers.object_removal import remove_all
from tests.contracts.custom_types import WIDGETS, established, widget


async def test_all_objects_go_but_those_that_are_held() -> None:
    async with established() as client:
        for number in range(70):
            await client.create(WIDGETS, widget(f"w{number}"))
        await client.create(WIDGETS, widget("held", finalizers=["example.com/hold"]))
        cluster = client.shard.store.find_cluster("root")
        assert cluster is not None
        resource = client.shard.catalog.find(cluster, "example.com", "v1", "widgets")
        assert resource is not None
        assert not await remove_all(client.shard, cluster, resource)
        reply = await client.do("GET", WIDGETS)
        assert reply.names == ["held"] and reply.json["items"][0]["metadata"]["deletionTimestamp"]
        await client.patch(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})
        assert await remove_all(client.shard, cluster, resource)

from kcpshard.controllers.event_recorder import EventRecorder
from kcpshard.controllers.system_client import SystemClient
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap, memory_shard


async def test_the_same_is_said_once_in_a_while() -> None:
    client = ApiClient(memory_shard())
    obj = await client.create(CONFIGMAPS, configmap("a"))
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None
    recorder = EventRecorder(client.shard, SystemClient(client.shard, "c"), "component")
    for _ in range(3):
        await recorder.warn(cluster, obj, "Bad", "very")
    assert len((await client.get("/api/v1/namespaces/default/events"))["items"]) == 1
    client.shard.now_us.now += 400_000_000  # type: ignore[attr-defined]
    await recorder.warn(cluster, obj, "Bad", "very")
    items = (await client.get("/api/v1/namespaces/default/events"))["items"]
    assert len(items) == 2 and items[0]["involvedObject"]["name"] == "a"

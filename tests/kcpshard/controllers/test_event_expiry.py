from typing import Any

from kcpshard.controllers.event_expiry import EventExpiry
from tests.contracts.api_client import ApiClient, Clock, memory_shard

EVENTS = "/api/v1/namespaces/default/events"
HOUR_US = 3_600_000_000


def event(name: str) -> dict[str, Any]:
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    return {"metadata": {"name": name}, "involvedObject": about, "reason": "R", "message": "m", "type": "Normal"}


async def test_events_go_an_hour_after_they_were_last_written() -> None:
    clock = Clock()
    shard = memory_shard(clock)
    one, two = ApiClient(shard, "one"), ApiClient(shard, "two")
    for at in range(300):
        await one.create(EVENTS, event(f"old{at}"))
    await two.create(EVENTS, event("old"))
    await one.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "kept"}})
    expiry = EventExpiry(shard, 3600, clock)
    assert await expiry.sweep() == 0
    clock.now += HOUR_US // 2
    await one.patch(f"{EVENTS}/old7", {"count": 2})
    await one.create(EVENTS, event("new"))
    clock.now += HOUR_US // 2
    assert await expiry.sweep() == 300
    assert (await one.do("GET", EVENTS)).names == ["new", "old7"]
    assert (await two.do("GET", EVENTS)).names == []
    assert (await one.do("GET", "/api/v1/namespaces/default/configmaps")).names == ["kept"]
    clock.now += HOUR_US
    assert await expiry.sweep() == 2
    await shard.store.close()


async def test_a_cluster_that_moves_away_is_left_alone() -> None:
    clock = Clock()
    shard = memory_shard(clock)
    client = ApiClient(shard)
    await client.create(EVENTS, event("a"))
    cluster = shard.store.pending_cluster("root")
    assert cluster is not None
    clock.now += 2 * HOUR_US
    shard.store.set_cluster_state(cluster, "Sealed")
    assert await EventExpiry(shard, 3600, clock).sweep() == 0

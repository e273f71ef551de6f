from typing import Any

import pytest

from kcpshard.api.errors import TooManyRequests
from kcpshard.api.requests import Identity
from kcpshard.storage.contract import LogicalCluster
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.verbs import cluster_limits
from kcpshard.verbs.cluster_limits import Limits, limits_of
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, Clock, configmap, memory_shard

OWN = "/api/v1/namespaces/kube-system/configmaps"


def limited() -> ApiClient:
    client = ApiClient(memory_shard())
    cluster_limits.follow(client.shard.store)
    return client


def cluster_of(client: ApiClient) -> LogicalCluster:
    found = client.shard.store.pending_cluster("root")
    assert found is not None
    return found


async def limit(client: ApiClient, **data: Any) -> None:
    reply = await client.do("POST", OWN, configmap("kcp-limits", {k: str(v) for k, v in data.items()}))
    assert reply.code == 201, reply.json


async def test_objects_are_limited_and_counted_in_constant_time() -> None:
    client = limited()
    await client.create(CONFIGMAPS, configmap("a"))
    cluster = cluster_of(client)
    await limit(client, objects=cluster.objects + 2)
    assert (await client.do("POST", CONFIGMAPS, configmap("b"))).code == 201
    refused = await client.do("POST", CONFIGMAPS, configmap("c"))
    assert (refused.code, refused.json["reason"]) == (403, "Forbidden")
    assert "the limit of this logical cluster is exceeded: objects: used" in refused.message
    assert (await client.do("PATCH", f"{CONFIGMAPS}/a", {"data": {"x": "1"}}, MERGE)).code == 200
    assert (await client.do("DELETE", f"{CONFIGMAPS}/b")).code == 200
    assert (await client.do("POST", CONFIGMAPS, configmap("c"))).code == 201


async def test_bytes_are_limited_but_what_shrinks_passes() -> None:
    client = limited()
    await client.create(CONFIGMAPS, configmap("a", {"x": "y" * 4000}))
    await limit(client, bytes=cluster_of(client).stored_bytes + 2000)
    assert (await client.do("POST", CONFIGMAPS, configmap("b", {"x": "y" * 4000}))).code == 403
    assert (await client.do("PATCH", f"{CONFIGMAPS}/a", {"data": {"z": "y" * 4000}}, MERGE)).code == 403
    assert (await client.do("PATCH", f"{CONFIGMAPS}/a", {"data": {"x": "small"}}, MERGE)).code == 200
    assert (await client.do("POST", CONFIGMAPS, configmap("b", {"x": "y" * 2000}))).code == 201


async def test_the_size_of_one_object_is_limited() -> None:
    client = limited()
    await client.create(CONFIGMAPS, configmap("a"))
    await limit(client, objectBytes="2Ki")
    assert (await client.do("POST", CONFIGMAPS, configmap("b", {"x": "y" * 3000}))).code == 413
    assert (await client.do("POST", CONFIGMAPS, configmap("b", {"x": "y" * 1000}))).code == 201


async def test_the_size_of_what_is_sent_is_limited() -> None:
    client = limited()
    await client.create(CONFIGMAPS, configmap("a"))
    await limit(client, bodyBytes="2Ki")
    reply = await client.do("PATCH", f"{CONFIGMAPS}/a", {"data": {"x": "y" * 3000}}, MERGE)
    assert reply.code == 413 and reply.json["details"]["causes"] == [{"reason": "BodyLimit", "message": "2048"}]
    assert (await client.do("PATCH", f"{CONFIGMAPS}/a", {"data": {"x": "y" * 1000}}, MERGE)).code == 200
    assert (await client.do("DELETE", f"{OWN}/kcp-limits")).code == 200, "an administrator gets out of it"
    assert (await client.do("PATCH", f"{CONFIGMAPS}/a", {"data": {"x": "y" * 3000}}, MERGE)).code == 200


async def test_strangers_are_not_told_of_limits() -> None:
    client = limited()
    await client.create(CONFIGMAPS, configmap("a"))
    await limit(client, bodyBytes="2Ki")
    stranger = ApiClient(client.shard, identity=Identity("s", "s", ("system:authenticated",)))
    assert (await stranger.do("POST", CONFIGMAPS, configmap("b", {"x": "y" * 3000}))).code == 403


async def test_a_tenant_reads_its_limits_and_cannot_change_them() -> None:
    client = limited()
    await client.create(CONFIGMAPS, configmap("a"))
    await limit(client, objects=1000)
    tenant = ApiClient(client.shard, identity=Identity("t", "t", ("system:masters",), scope=cluster_of(client).id))
    assert (await tenant.do("GET", f"{OWN}/kcp-limits")).code == 200
    assert (await tenant.do("PATCH", f"{OWN}/kcp-limits", {"data": {"objects": "9999"}}, MERGE)).code == 403
    assert (await tenant.do("DELETE", f"{OWN}/kcp-limits")).code == 403
    assert (await tenant.do("DELETE", OWN)).code == 403
    assert limits_of(client.shard.store, cluster_of(client)).objects == 1000
    assert (await tenant.do("POST", CONFIGMAPS, configmap("kcp-limits"))).code == 201  # another namespace's


async def test_limits_change_with_their_object() -> None:
    client = limited()
    await client.create(CONFIGMAPS, configmap("a"))
    store, cluster = client.shard.store, cluster_of(client)
    assert limits_of(store, cluster) == Limits()
    await limit(client, objects=7, requests="nonsense")
    assert limits_of(store, cluster) == Limits(objects=7)
    assert (await client.do("DELETE", f"{OWN}/kcp-limits")).code == 200
    assert limits_of(store, cluster) == Limits()


async def test_counts_are_right_after_a_restart() -> None:
    client = limited()
    for n in range(5):
        await client.create(CONFIGMAPS, configmap(f"m{n}", {"x": "y" * n * 100}))
    await client.do("PATCH", f"{CONFIGMAPS}/m1", {"data": {"x": "longer" * 50}}, MERGE)
    await client.do("DELETE", f"{CONFIGMAPS}/m2")
    before = cluster_of(client)
    engine = client.shard.store._engine  # type: ignore[attr-defined]
    assert isinstance(engine, MemoryEngine)
    clock = Clock()
    clock.now = 1_800_000_000_000_000
    after = Store(engine, 1, clock).pending_cluster("root")
    assert after is not None and after is not before
    assert (after.objects, after.stored_bytes) == (before.objects, before.stored_bytes)
    values = [value for _, value in engine.scan("objects", before.prefix, before.prefix + b"\xff", 1000)]
    assert (after.objects, after.stored_bytes) == (len(values), sum(map(len, values)))
    for key, _ in engine.scan("meta", b"content/", b"content0", 10):
        batch = engine.batch()
        batch.delete("meta", key)
        engine.write(batch)
    again = Store(engine, 1, clock).pending_cluster("root")  # as an earlier release has left it
    assert again is not None and (again.objects, again.stored_bytes) == (before.objects, before.stored_bytes)


async def test_watches_are_limited() -> None:
    client = limited()
    store = client.shard.store
    cluster_limits.check_watch(store, "unborn", 100)
    await limit(client, watches=2)
    cluster_limits.check_watch(store, "root", 1)
    with pytest.raises(TooManyRequests):
        cluster_limits.check_watch(store, "root", 2)


@pytest.mark.parametrize(("given", "weight"), [("250", 250), ("0", 1), ("1M", 10_000), ("much", 100)])
async def test_a_weight_stays_within_bounds(given: str, weight: int) -> None:
    client = limited()
    await limit(client, weight=given)
    assert limits_of(client.shard.store, cluster_of(client)).weight == weight

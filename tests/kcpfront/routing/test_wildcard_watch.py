import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from kcpfront.routing.wildcard_watch import SILENT_S, WildcardWatches
from kcpshard.api.requests import Identity
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.settings import Settings
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap
from tests.contracts.shards_tier import ShardsTier
from tests.contracts.stored_objects import remove
from tests.contracts.watch_tier import Reader
from tests.kcpfront.routing.fake_shards import FakeShard, FakeSink
from tests.virtual_time import run

PATHS = ("alpha", "beta", "gamma", "delta")
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ALICE = Identity("alice", "", ("system:authenticated",))


@pytest.fixture(params=[1, 2, 3])
async def tier(request: pytest.FixtureRequest) -> AsyncIterator[ShardsTier]:
    async with asyncio.TaskGroup() as tasks:
        found = ShardsTier(request.param, tasks, Settings(closed_revision_of_many_s=0.005, views_checked_s=0.02))
        for path in PATHS:
            await found.client(path).create(CONFIGMAPS, configmap("first", labels={"of": path}))
        yield found
        await found.close()


def place(event: Any) -> str:
    metadata = orjson.loads(event.object)["metadata"]
    return f"{pb.EventType.Name(event.type)} {metadata['annotations']['kcp.io/cluster']}/{metadata['name']}"


async def seen(reader: Reader, number: int) -> list[str]:
    async with asyncio.timeout(60):
        while len(reader.events) < number:
            await asyncio.sleep(0.002)
    return [place(event) for event in reader.events]


async def newest(tier: ShardsTier) -> int:
    found = await tier.list("/api/v1/namespaces/default/configmaps")
    return int(found["metadata"]["resourceVersion"])


async def test_events_of_all_shards_in_the_order_of_their_revisions(tier: ShardsTier) -> None:
    reader = Reader()
    tier.start(reader, revision=await newest(tier))
    order = [random.Random(5).choice(PATHS) for _ in range(40)]
    for number, path in enumerate(order):
        await tier.client(path).create(CONFIGMAPS, configmap(f"n{number}"))
    assert await seen(reader, 40) == [f"ADDED {path}/n{number}" for number, path in enumerate(order)]
    revisions = [event.revision for event in reader.events]
    assert revisions == sorted(set(revisions))


async def test_first_the_state_then_what_changes(tier: ShardsTier) -> None:
    reader = Reader()
    tier.start(reader, initial=True)
    assert sorted(await seen(reader, 4)) == sorted(f"ADDED {path}/first" for path in PATHS)
    async with asyncio.timeout(60):
        while not any(line.startswith("initial") for line in reader.log):
            await asyncio.sleep(0.002)
    await tier.client("beta").do("DELETE", f"{CONFIGMAPS}/first")
    assert (await seen(reader, 5))[4] == "DELETED beta/first"


async def test_every_event_is_a_place_to_resume_from(tier: ShardsTier) -> None:
    start, reader = await newest(tier), Reader()
    tier.start(reader, revision=start)
    writers = [tier.client(path) for path in PATHS]

    async def write(client: ApiClient) -> None:
        for number in range(10):
            await client.create(CONFIGMAPS, configmap(f"n{number}"))

    async with asyncio.TaskGroup() as tasks:
        for client in writers:
            tasks.create_task(write(client))
    everything = await seen(reader, 40)
    for cut in (0, 7, 20, 39):
        again = Reader()
        tier.start(again, revision=reader.events[cut].revision)
        assert await seen(again, 39 - cut) == everything[cut + 1 :]


async def test_a_shard_restarts_and_the_reader_notices_nothing(tier: ShardsTier) -> None:
    reader = Reader()
    tier.start(reader, revision=await newest(tier))
    for path in PATHS:
        await tier.client(path).create(CONFIGMAPS, configmap("before"))
    for number in tier.members:
        await tier.restart(number)
    for path in PATHS:
        await tier.client(path).create(CONFIGMAPS, configmap("after"))
    found = await seen(reader, 8)
    assert found == [f"ADDED {path}/{name}" for name in ("before", "after") for path in PATHS]
    assert "ended" not in " ".join(reader.log)


async def test_selectors_and_a_logical_cluster_born_later(tier: ShardsTier) -> None:
    reader = Reader()
    tier.start(reader, revision=await newest(tier), label_selector="on=yes")
    await tier.client("newcomer").create(CONFIGMAPS, configmap("a", labels={"on": "yes"}))
    await tier.client("newcomer").create(CONFIGMAPS, configmap("b"))
    await tier.client("newcomer").patch(f"{CONFIGMAPS}/a", {"metadata": {"labels": {"on": "no"}}})
    assert await seen(reader, 2) == ["ADDED newcomer/a", "DELETED newcomer/a"]


async def test_the_end_of_a_logical_cluster_is_the_end_of_its_objects(tier: ShardsTier) -> None:
    reader = Reader()
    tier.start(reader, revision=await newest(tier))
    store = tier.members[tier.owner("beta")].store
    cluster = store.find_cluster("beta")
    assert cluster is not None
    store.remove_cluster(cluster, [remove("first")])
    assert await seen(reader, 1) == ["DELETED beta/first"]
    found = await tier.list("/api/v1/namespaces/default/configmaps")
    assert "beta" not in {item["metadata"]["annotations"]["kcp.io/cluster"] for item in found["items"]}


async def test_who_cannot_tell_what_has_gone_lists_again(tier: ShardsTier) -> None:
    reader = Reader()
    tier.start(reader, revision=await newest(tier), identity=ALICE)
    await reader.saw("started")
    store = tier.members[tier.owner("beta")].store
    cluster = store.find_cluster("beta")
    assert cluster is not None
    store.remove_cluster(cluster, [remove("first")])
    await reader.saw("ended 410")


async def test_bookmarks_go_on_while_nothing_happens(tier: ShardsTier) -> None:
    reader = Reader()
    before = await newest(tier)
    handle = tier.start(reader, revision=before)
    tier.clock.now += 1_000_000
    await reader.complete_up_to(before + 500_000_000)
    resumed = Reader()
    tier.start(resumed, revision=handle.revision)
    await tier.client("gamma").create(CONFIGMAPS, configmap("later"))
    assert await seen(resumed, 1) == ["ADDED gamma/later"]


async def test_who_may_see_more_or_less_lists_again(tier: ShardsTier) -> None:
    reader = Reader()
    tier.start(reader, revision=await newest(tier), identity=ALICE)
    await tier.client("beta").create(CONFIGMAPS, configmap("hidden"))
    await reader.complete_up_to(await newest(tier))
    assert reader.events == []
    role = {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["watch"]}], "metadata": {"name": "r"}}
    subject = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
    client = tier.client("beta")
    await client.create(f"{RBAC}/clusterroles", role)
    binding = {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": reference}
    checks = [tier.tasks.create_task(member.watch.check_views()) for member in tier.members.values()]
    await client.create(f"{RBAC}/clusterrolebindings", binding)
    await reader.saw("ended 410")
    for check in checks:
        check.cancel()


async def test_a_reader_that_pauses_misses_nothing(tier: ShardsTier) -> None:
    reader = Reader()
    handle = tier.start(reader, revision=await newest(tier))
    handle.pause()
    for number in range(5):
        for path in PATHS:
            await tier.client(path).create(CONFIGMAPS, configmap(f"n{number}"))
    assert reader.events == []
    handle.resume()
    assert await seen(reader, 20) == [f"ADDED {path}/n{number}" for number in range(5) for path in PATHS]


async def test_a_type_that_nobody_serves(tier: ShardsTier) -> None:
    reader = Reader()
    tier.start(reader, revision=await newest(tier), group="example.dev", resource="widgets")
    await reader.saw("ended 404")


def test_a_silent_shard_ends_the_watch_and_is_named() -> None:
    async def main() -> None:
        shards = {1: FakeShard(), 2: FakeShard()}
        watches = WildcardWatches(lambda: shards)
        sink = FakeSink()
        watch = watches.start(pb.StartWatch(cluster="*", revision=7), sink)
        handles: list[Any] = [part.handle for part in watch.parts.values()]
        for handle in handles:
            handle.kind = "ConfigMap"
            handle.sink.started()
        for second in range(int(SILENT_S) + 3):
            handles[0].revision = 10 + second
            watches.progress()
            await asyncio.sleep(1)
        (kind, status) = sink.seen[-1]  # type: ignore[misc]
        assert kind == "ended"
        found = orjson.loads(status)
        assert (found["code"], "shard 2" in found["message"]) == (503, True)
        assert all(handle.closed for handle in handles)

    run(main())

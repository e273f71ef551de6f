import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from kcpshard.placement.ownership_states import OwnershipConflict
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.cluster_pages import decode_pairs
from kcpshard.verbs.outcome import NotOwned
from tests.contracts.moved_cluster import keys_of
from tests.contracts.store_contract import durable
from tests.contracts.stored_objects import put
from tests.kcpshard.placement.moving_group import MovingGroup
from tests.kcpshard.placement.shard_group import until

PATH = "root:a"


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[MovingGroup]:
    made = MovingGroup(tmp_path, 2, grace_s=0.2)
    await made.start_all()
    yield made
    await made.close()


async def test_an_export_is_head_objects_records_and_once_sealed_a_summary(group: MovingGroup) -> None:
    number = await group.bear(PATH, 20)
    departures, cluster = group.shards[number].departures, group.cluster(PATH)
    seen: list[str] = []
    objects: list[bytes] = []
    records: list[bytes] = []
    export = departures.export(pb.ExportClusterRequest(cluster=PATH, epoch=90, to=3 - number))
    async for message in export:
        if message.HasField("head"):
            assert (message.head.id, list(message.head.oldest)) == (cluster.id, cluster.oldest)
            seen.append("head")
        elif message.caught_up:
            seen.append("caught up")
            await durable(group.stores[number].commit(cluster, [put("while it waits")]).group)
            await departures.seal(pb.SealClusterRequest(epoch=90, cluster=PATH, moved_to=3 - number))
        elif message.summary:
            summary = orjson.loads(message.summary)
            assert (summary["objects"], summary["state"]) == (21, "Active")
            seen.append("summary")
        elif message.last or message.objects:
            objects += [key for key, _ in decode_pairs(message.objects)]
            seen.append("objects")
        else:
            records += [key for key, _ in decode_pairs(message.records)]
            seen.append("records")
    assert seen == ["head", "objects", "records", "caught up", "records", "summary"]
    assert (len(objects), len(records)) == (20, 21)


async def test_an_export_is_taken_up_again(group: MovingGroup) -> None:
    number = await group.bear(PATH, 5)
    departures = group.shards[number].departures
    request = pb.ExportClusterRequest(
        cluster=PATH, epoch=90, to=3 - number, has_objects=True, records_after=b"\xff" * 10
    )
    export = departures.export(request)
    first, second = await anext(export), await anext(export)
    assert first.HasField("head") and second.caught_up
    await export.aclose()
    group.stores[number].transfers.expose(group.cluster(PATH).id)


async def test_only_what_is_served_here_is_exported(group: MovingGroup) -> None:
    number = await group.bear(PATH)
    other = group.shards[3 - number].departures
    with pytest.raises(OwnershipConflict):
        await anext(other.export(pb.ExportClusterRequest(cluster=PATH, epoch=90, to=number)))


async def test_a_seal_is_in_force_at_once_and_over_a_restart(group: MovingGroup) -> None:
    number = await group.bear(PATH)
    shard, cluster = group.shards[number], group.cluster(PATH)
    sealing = asyncio.ensure_future(  # noqa: TID251 - to look at the turn in which it is accepted
        shard.departures.seal(pb.SealClusterRequest(epoch=90, cluster=PATH, moved_to=3 - number))
    )
    await asyncio.sleep(0)
    with pytest.raises(NotOwned):
        shard.ownership.check(PATH)
    with pytest.raises(NotOwned):
        group.stores[number].commit(cluster, [put("late")])
    assert (await sealing).revision >= cluster.created_revision
    await group.restart(number)
    with pytest.raises(NotOwned):
        group.shards[number].ownership.check(PATH)
    store = group.stores[number]
    again = store.pending_cluster(PATH)
    assert again is not None
    with pytest.raises(NotOwned):
        store.commit(again, [put("late")])


async def test_data_stays_until_the_other_shard_serves_it_and_a_while_longer(group: MovingGroup) -> None:
    number = await group.bear(PATH)
    cluster, shard = group.cluster(PATH), group.shards[number]
    await shard.departures.seal(pb.SealClusterRequest(epoch=90, cluster=PATH, moved_to=3 - number))
    await asyncio.sleep(0.3)
    assert group.stores[number].pending_cluster(PATH) is cluster
    wanted = pb.TakeClusterRequest(epoch=90, cluster=PATH, source=number)
    assert (await group.shards[3 - number].arrivals.take(wanted)).stage == "done"
    await until(lambda: group.stores[number].pending_cluster(PATH) is None)
    revision = group.stores[number].durable_revision
    assert len(group.stores[number].scan(cluster, "configmaps", "", revision, None, 9)) == 3  # a list under way
    await until(lambda: keys_of(group.engines[number], cluster.id) == [])
    assert group.violations() == []


async def test_a_fork_takes_along_what_it_shares_and_an_origin_leaves_its_forks_whole(group: MovingGroup) -> None:
    number = await group.bear(PATH, 200)
    store, origin = group.stores[number], group.cluster(PATH)
    first, second = [name for n in range(99) if group.owners(name := f"root:f{n}") == [number]][:2]
    for name in (first, second):
        _, pending = store.fork_cluster(origin, name, [put("own")])
        await durable(pending.group)
    keys: list[bytes] = []
    export = group.shards[number].departures.export(pb.ExportClusterRequest(cluster=first, epoch=90, to=3 - number))
    async for message in export:
        keys += [key for key, _ in decode_pairs(message.objects)] if message.objects else []
        if message.caught_up:
            break
    await export.aclose()
    assert len(keys) == 201
    other = store.find_cluster(second)
    assert other is not None and store.origin_of(other) == origin.id
    export = group.shards[number].departures.export(pb.ExportClusterRequest(cluster=PATH, epoch=91, to=3 - number))
    await anext(export)
    assert store.origin_of(other) is None and store.count(other, "configmaps") == 201
    await export.aclose()

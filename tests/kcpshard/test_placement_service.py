import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import orjson
import pytest

from kcpshard.api.slots import SLOTS
from kcpshard.placement.shard_rows import shard_rows
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import NotKeeper, Refused, Unreachable
from tests.kcpshard.placement.shard_group import ShardGroup, connect, until


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[ShardGroup]:
    found = ShardGroup(tmp_path, 2)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(found.start(1))
        tasks.create_task(found.start(2))
    yield found
    await found.close()


async def test_every_shard_serves_the_map_and_its_changes(group: ShardGroup) -> None:
    async with aclosing(group.follower().follow(group.address(2), 0)) as maps:
        first = await anext(maps)
        await group.start(3)
        second = await anext(maps)
    assert second.epoch > first.epoch


async def test_a_known_map_is_not_sent_again(group: ShardGroup) -> None:
    epoch = group.shards[1].maps.current.epoch
    async with aclosing(group.follower().follow(group.address(1), epoch)) as maps:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(maps)


async def test_a_stream_ends_with_its_shard(group: ShardGroup) -> None:
    epoch = group.shards[2].maps.current.epoch
    seen = []

    async def follow() -> None:
        try:
            async with aclosing(group.follower().follow(group.address(2), epoch)) as maps:
                async for message in maps:
                    seen.append(message)
        except Unreachable:
            return

    task = asyncio.get_running_loop().create_task(follow())
    await asyncio.sleep(0.1)
    await group.stop(2)
    await asyncio.wait_for(task, 60)


async def test_only_the_keeper_registers(group: ShardGroup) -> None:
    client = group.client(2)
    with pytest.raises(NotKeeper):
        await client.register(pb.RegisterShardRequest())
    await client.close()


async def test_refusals_carry_their_sentence(group: ShardGroup) -> None:
    client = group.client(1)
    with pytest.raises(Refused, match="between 1 and 999"):
        await client.register(pb.RegisterShardRequest())
    with pytest.raises(Refused, match="has passed"):
        await client.seal(pb.SealSlotsRequest(epoch=1, slots=[1], moved_to=2))
    with pytest.raises(Refused, match="cannot grant slot 1"):
        await client.grant(pb.GrantSlotsRequest(epoch=10, slots=[1]))
    await client.close()


async def test_nobody_there_is_unreachable(group: ShardGroup) -> None:
    client = group.client(9)
    with pytest.raises(Unreachable):
        await client.statistics()
    await client.close()


async def test_statistics_add_placement(group: ShardGroup) -> None:
    client = group.client(1)
    found = orjson.loads(await client.statistics())
    await client.close()
    assert found["shard"] == 1
    assert found["slots"] == SLOTS // 2
    assert found["keeper"] is True
    assert found["objects"] == 9


async def test_a_checkpoint_needs_a_new_place(group: ShardGroup, tmp_path: Path) -> None:
    client = group.client(1)
    assert await client.checkpoint(str(tmp_path / "new")) == 77
    for directory in (str(tmp_path / "new"), "relative"):
        with pytest.raises(Refused, match="nothing is yet"):
            await client.checkpoint(directory)
    await client.close()


async def test_rows_of_shards_that_answer_and_that_do_not(group: ShardGroup) -> None:
    await until(lambda: len([e for e in group.shards[1].maps.current.shards if e.data_id]) == 2)
    shard_map = group.shards[1].maps.current
    await group.stop(2)
    rows = await shard_rows(shard_map, connect)
    assert [(row.number, row.state, row.slots, row.objects) for row in rows] == [
        (1, "Ready", SLOTS // 2, 9),
        (2, "Unreachable", SLOTS // 2, -1),
    ]

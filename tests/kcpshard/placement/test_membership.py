import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kcpshard.api.slots import SLOTS
from kcpshard.placement.membership import MayNotServe, is_keeper
from kcpshard.verbs.outcome import NotOwned
from tests.kcpshard.placement.fake_store import FakeStore
from tests.kcpshard.placement.shard_group import ShardGroup, until


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[ShardGroup]:
    found = ShardGroup(tmp_path, 2)
    yield found
    await found.close()


async def started(group: ShardGroup, *numbers: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in numbers:
            tasks.create_task(group.start(number))


async def test_two_new_shards_divide_the_slots(group: ShardGroup) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(group.start(2))  # waits for the keeper
        tasks.create_task(group.start(1))
    assert group.owners() == [SLOTS // 2, SLOTS // 2]
    await until(lambda: all(s.maps.current.epoch == group.shards[1].maps.current.epoch for s in group.shards.values()))
    assert [is_keeper(shard.ownership) for _, shard in sorted(group.shards.items())] == [True, False]


async def test_the_keepers_cluster_is_served_by_shard_1_only(group: ShardGroup) -> None:
    await started(group, 1, 2)
    group.shards[1].ownership.check("system:shards")
    with pytest.raises(NotOwned) as answer:
        group.shards[2].ownership.check("system:shards")
    assert answer.value.moved_to == 1


async def test_new_shards_get_their_share(group: ShardGroup) -> None:
    await started(group, 1, 2)
    await started(group, 3, 4)
    await until(lambda: group.owners() == [SLOTS // 4] * 4)
    await until(lambda: all(s.maps.current.epoch == group.shards[1].maps.current.epoch for s in group.shards.values()))


async def test_restarts_change_nothing(group: ShardGroup) -> None:
    await started(group, 1, 2)
    ids = [shard.ownership.data_id for shard in group.shards.values()]
    await group.close()
    await group.start(2)
    assert group.owners() == [SLOTS // 2], "it serves although the keeper is away"
    await group.start(1)
    assert [shard.ownership.data_id for _, shard in sorted(group.shards.items())] == ids
    await until(lambda: not group.running[2].done())


async def test_an_empty_directory_cannot_take_a_shards_place(group: ShardGroup) -> None:
    await started(group, 1, 2)
    await group.stop(2)
    group.stores[2] = FakeStore()
    with pytest.raises(MayNotServe, match="registered with another data directory"):
        await group.start(2)


async def test_the_keeper_cannot_begin_again_while_others_know_it(group: ShardGroup) -> None:
    await started(group, 1, 2)
    await until(lambda: group.shards[2].maps.current.shards[0].data_id)
    await group.stop(1)
    group.stores[1] = FakeStore()
    with pytest.raises(MayNotServe, match="shard 1 is registered with another data directory"):
        await group.start(1)


async def test_an_old_copy_of_a_disk_is_refused_with_what_to_do(group: ShardGroup) -> None:
    await started(group, 1, 2)
    old = dict(group.stores[2].disk)
    await group.start(3)
    await until(lambda: group.owners()[2] > 5000 and group.shards[1].keeper.move is None)
    await group.stop(2)
    group.stores[2] = FakeStore(old)
    with pytest.raises(MayNotServe, match=r"old copy.*newest copy, or restore"):
        await group.start(2)


async def test_a_shard_that_started_alone_stops_when_the_keeper_disowns_it(group: ShardGroup) -> None:
    await started(group, 1, 2)
    old = dict(group.stores[2].disk)
    await group.start(3)
    await until(lambda: group.owners()[2] > 5000 and group.shards[1].keeper.move is None)
    await group.close()
    group.stores[2] = FakeStore(old)
    await group.start(2)
    await group.start(1)
    await until(lambda: group.running[2].done())
    assert isinstance(group.running[2].exception(), MayNotServe)


async def test_a_copied_directory_does_not_serve_beside_its_original(group: ShardGroup, tmp_path: Path) -> None:
    await started(group, 1, 2)
    (tmp_path / "copy").mkdir()
    copied = ShardGroup(tmp_path / "copy", 2)
    copied.stores = {number: store.crash() for number, store in group.stores.items()}
    for number in (1, 2):
        with pytest.raises(MayNotServe, match="is a copy of that of shard"):
            await copied.start(number)
    assert group.shards[1].maps.current.shards[1].address == group.address(2)
    await group.stop(2)
    await copied.start(2, peers=())  # it has moved
    await until(lambda: group.shards[1].maps.current.shards[1].address == copied.address(2))
    await copied.close()


async def test_a_directory_belongs_to_one_shard(group: ShardGroup) -> None:
    await started(group, 1, 2)
    await group.stop(2)
    group.stores[3] = group.stores[2]
    with pytest.raises(MayNotServe, match="belongs to shard 2, not to shard 3"):
        await group.start(3)


async def test_an_installation_needs_to_know_its_size(tmp_path: Path) -> None:
    group = ShardGroup(tmp_path, 0)
    with pytest.raises(MayNotServe, match="number of shards to begin with"):
        await group.start(1, ())


async def test_a_disk_that_takes_nothing_ends_the_start(group: ShardGroup) -> None:
    store = FakeStore()
    group.stores[1] = store
    store.crash = lambda: store  # type: ignore[method-assign]

    async def refuse() -> None:
        await until(lambda: store.writes)
        store.refuse()

    task = asyncio.get_running_loop().create_task(refuse())
    store.sync = lambda upto=None: None  # type: ignore[method-assign]
    with pytest.raises(MayNotServe, match="takes no writes: full"):
        await group.start(1, ())
    await task

import asyncio

import pytest

from kcpshard.placement.map_copy import MAP_KEY, MapClosed, MapCopy
from kcpshard.placement.ownership_records import DamagedOwnership
from kcpshard.placement.shard_map import initial_map, new_entry, with_entry
from kcpshard.storage.contract import ReadOnly
from kcpshard.storage.durability import durable
from tests.kcpshard.placement.fake_store import FakeStore
from tests.virtual_time import run

FIRST = initial_map(1)
SECOND = with_entry(FIRST, new_entry(2))


def test_a_map_is_shown_once_durable() -> None:
    store = FakeStore()
    maps = MapCopy(store)
    maps.put(FIRST)
    assert (maps.accepted.epoch, maps.current.epoch) == (1, 0)
    store.sync()
    assert maps.current == FIRST
    assert MapCopy(store.crash()).current == FIRST


def test_only_newer_maps_are_taken() -> None:
    maps = MapCopy(FakeStore())
    maps.put(SECOND)
    with pytest.raises(ValueError, match="not newer"):
        maps.put(FIRST)


def test_a_damaged_copy_is_named() -> None:
    with pytest.raises(DamagedOwnership):
        MapCopy(FakeStore({MAP_KEY: b"\xff\xff"}))


def test_readers_wait_for_the_next() -> None:
    async def scenario() -> None:
        store = FakeStore()
        maps = MapCopy(store)
        reader = asyncio.get_running_loop().create_task(maps.newer_than(0))
        await asyncio.sleep(1)
        maps.put(FIRST)
        await asyncio.sleep(1)
        assert not reader.done()
        store.sync()
        assert await reader == FIRST
        last = asyncio.get_running_loop().create_task(maps.newer_than(1))
        await asyncio.sleep(1)
        maps.close()
        with pytest.raises(MapClosed):
            await last

    run(scenario())


def test_a_refused_map_is_forgotten_and_who_waits_is_told() -> None:
    async def scenario() -> None:
        store = FakeStore()
        maps = MapCopy(store)
        maps.put(FIRST)
        store.sync()
        group = maps.put(SECOND)
        loop = asyncio.get_running_loop()
        waiting = [loop.create_task(durable(group)), loop.create_task(maps.settled())]
        await asyncio.sleep(1)
        store.refuse()
        for task in waiting:
            with pytest.raises(ReadOnly):
                await task
        assert maps.accepted == FIRST
        maps.put(SECOND)

    run(scenario())

"""Ownership under deaths, lost answers and commands that come twice or late: never two servers, finally a balance."""

import asyncio
from collections import Counter

import pytest

from kcpshard.api.slots import SLOTS
from tests.model.placement_world import World, occupied_slots
from tests.virtual_time import run


async def _history(seed: int, initial: int, final: int) -> World:
    world = World(seed, initial)
    for number in range(1, initial + 1):
        await world.start_shard(number)
    await asyncio.sleep(2)
    for path in world.sample[1:60]:
        world.bear(path)
    for number in range(initial + 1, final + 1):
        await world.start_shard(number)
    for _ in range(40):
        await asyncio.sleep(world.random.uniform(0, 0.3))
        world.bear(world.random.choice(world.sample[1:]))
        number = world.random.randint(1, final)
        if number in world.running and world.random.random() < 0.5:
            world.kill(number)
        elif number not in world.running:
            await world.start_shard(number)
        world.check()
    world.calm = True
    for number in range(1, final + 1):
        if number not in world.running:
            await world.start_shard(number)
    await asyncio.sleep(60)
    return world


def _finish(world: World, final: int) -> None:
    world.check()
    owners = world.truth()
    assert 0 not in owners, "a slot got lost"
    assert owners == world.published()
    for path in world.sample:
        assert [p for p in world.running.values() if p.serves(path)], f"nobody serves {path}"
    for number in world.running:
        world_store = world.running[number].store
        for path in world_store.born:
            assert world.running[number].serves(path), f"{path} lives at {number}, which does not serve it"
    counts = Counter(owners)
    # With few logical clusters nearly every slot can move, so the balance is exact up to the occupied ones.
    assert max(counts.values()) - min(counts.values()) <= 1 + len(occupied_slots(world))
    assert set(counts) == set(range(1, final + 1))


@pytest.mark.parametrize("seed", range(12))
def test_no_history_gives_a_path_two_servers_or_loses_a_slot(seed: int) -> None:
    async def scenario() -> None:
        world = await _history(seed, 2, 4)
        _finish(world, 4)
        for number in list(world.running):
            world.kill(number)

    run(scenario())


def test_growth_from_one_shard_is_even() -> None:
    async def scenario() -> None:
        world = World(1, 1)
        world.calm = True
        await world.start_shard(1)
        await asyncio.sleep(1)
        for number in (2, 3):
            await world.start_shard(number)
        await asyncio.sleep(10)
        counts = Counter(world.truth())
        assert sorted(counts.values()) == [SLOTS // 3, SLOTS // 3, SLOTS // 3 + 1]
        for number in list(world.running):
            world.kill(number)

    run(scenario())

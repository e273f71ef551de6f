"""The keeper's role goes from shard to shard, with deaths on the way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from kcpshard import failpoints
from kcpshard.placement.shard_map import KEEPER_CLUSTER, KEYS_CLUSTER, pins_of
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import NotKeeper, PlacementClient
from kcpshard.storage.envelope import body
from tests.kcpshard.placement.moving_group import MovingGroup
from tests.kcpshard.placement.shard_group import until

SYSTEM = (KEEPER_CLUSTER, KEYS_CLUSTER)


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[MovingGroup]:
    made = MovingGroup(tmp_path, 2, with_system=True)
    await made.start_all()
    await until(lambda: all(made.stores[1].find_cluster(path) for path in SYSTEM))
    yield made
    failpoints.disarm()
    await made.close()


def keepers(group: MovingGroup) -> list[int]:
    return [number for number, shard in sorted(group.shards.items()) if shard.keeper is not None]


async def ask(group: MovingGroup, call: Any) -> Any:
    """Of whichever shard keeps the map, as soon as one does."""
    async with asyncio.timeout(20):
        while True:
            for number in list(group.shards):
                client: PlacementClient = group.client(number)
                try:
                    return await call(client)
                except NotKeeper:
                    pass
                finally:
                    await client.close()
            await asyncio.sleep(0.02)


async def change(group: MovingGroup, shard: str, change: str) -> pb.ShardMap:
    request = pb.ChangeShardRequest(shard=shard, change=change)
    found: pb.ShardMap = await ask(group, lambda client: client.change_shard(request))
    return found


async def move_role(group: MovingGroup, shard: str) -> None:
    request = pb.MoveClustersRequest(cluster=KEEPER_CLUSTER, shard=shard)
    await ask(group, lambda client: client.move_clusters(request))


def is_settled_at(group: MovingGroup, number: int) -> bool:
    """The role, the keys and what the maps say are there."""
    maps = [pins_of(shard.maps.current) for shard in group.shards.values()]
    keeper = group.shards[number].keeper
    if keepers(group) != [number] or keeper is None or keeper.moves()["active"] or keeper.moves()["waiting"]:
        return False
    return all(group.owners(path) == [number] and m[path] == number for path in SYSTEM for m in maps)


def key_ids(group: MovingGroup) -> set[str]:
    return {key.id for key in group.shards[keepers(group)[0]].maps.accepted.keys}


async def test_the_first_shard_is_drained_and_taken_out(group: MovingGroup) -> None:
    paths = [f"root:t{n}" for n in range(8)]
    for path in paths:
        await group.bear(path)
    keys, uids = key_ids(group), names_of_shards(group, 1)
    await change(group, "shard-1", "drain")
    await until(lambda: is_settled_at(group, 2), 90)
    assert key_ids(group) == keys and names_of_shards(group, 2) == uids, "moved, not made anew"
    await until(lambda: all(group.owners(path) == [2] for path in paths), 90)
    shown = await change(group, "shard-1", "remove")
    assert [entry.name for entry in shown.shards] == ["shard-2"]
    rotation = group.shards[2].key_rotation
    assert rotation is not None and group.shards[1].key_rotation is None
    made = await rotation.rotate("tokens")
    await until(lambda: made in key_ids(group))
    await group.start(3)
    await until(lambda: len(group.shards[3].ownership.granted()) == 8192, 60)
    assert group.violations() == []


def names_of_shards(group: MovingGroup, number: int) -> dict[str, str]:
    """Name → uid of the objects that show the shards."""
    cluster = group.stores[number].find_cluster(KEEPER_CLUSTER)
    assert cluster is not None
    values = group.stores[number].scan_pending(cluster, "shards.core.kcp.io", "", 10)
    metas = [orjson.loads(body(value))["metadata"] for value in values]
    return {meta["name"]: meta["uid"] for meta in metas}


async def test_it_goes_to_and_fro_and_the_past_is_refused(group: MovingGroup) -> None:
    await group.start(3)
    for number in (3, 2, 1, 2):
        await move_role(group, f"shard-{number}")
        await until(lambda number=number: is_settled_at(group, number), 60)
    client = group.client(1)
    with pytest.raises(NotKeeper):
        await client.show_moves()
    await client.close()
    await group.bear("root:a")
    request = pb.MoveClustersRequest(cluster="root:a", shard="shard-3")
    await ask(group, lambda keeper: keeper.move_clusters(request))
    await until(lambda: group.owners("root:a") == [3], 60)


STEPS = ["moves.begun", "moves.copied", "moves.sealing", "moves.seal", "moves.seal_durable", "moves.sealed"]
STEPS += ["moves.adopting", "moves.adopted", "placement.cluster_move", "placement.cluster_publish"]


@pytest.mark.parametrize("step", STEPS)
async def test_a_death_at_any_step_leaves_one_keeper(group: MovingGroup, step: str) -> None:
    reached = asyncio.Event()

    def die() -> None:
        reached.set()
        raise ConnectionResetError("died")

    failpoints.arm(step, die)
    await move_role(group, "shard-2")
    await asyncio.wait_for(reached.wait(), 10)
    failpoints.disarm()
    for number in (2, 1):
        await group.stop(number)
    async with asyncio.TaskGroup() as tasks:
        for number in (1, 2):
            tasks.create_task(group.start(number))
    await until(lambda: is_settled_at(group, 2), 60)
    await move_role(group, "shard-1")
    await until(lambda: is_settled_at(group, 1), 60)
    assert group.violations() == []

"""The keeper and real shards: moves that are asked for, drains, weights, new shards."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from kcpshard import failpoints
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.slots import SLOTS
from kcpshard.placement.shard_map import pins_of
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import NotKeeper, Refused
from kcpshard.verbs.outcome import PlacementRefused
from tests.contracts.moved_cluster import keys_of
from tests.kcpshard.placement.moving_group import MovingGroup
from tests.kcpshard.placement.shard_group import until


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[MovingGroup]:
    made = MovingGroup(tmp_path, 2)
    await made.start_all()
    yield made
    failpoints.disarm()
    await made.close()


async def ask(group: MovingGroup, **request: Any) -> dict[str, Any]:
    client = group.client(1)
    try:
        found: dict[str, Any] = orjson.loads(await client.move_clusters(pb.MoveClustersRequest(**request)))
        return found
    finally:
        await client.close()


async def change(group: MovingGroup, shard: str, change: str = "", weight: int = 0) -> pb.ShardMap:
    client = group.client(1)
    try:
        return await client.change_shard(pb.ChangeShardRequest(shard=shard, change=change, weight=weight))
    finally:
        await client.close()


def moves(group: MovingGroup) -> dict[str, Any]:
    keeper = group.shards[1].keeper
    assert keeper is not None
    return dict(keeper.moves())


def is_quiet(group: MovingGroup) -> bool:
    found = moves(group)
    return found["active"] is None and not found["waiting"] and not found["slots"]


async def test_a_logical_cluster_is_moved_alone_or_with_what_is_below_it(group: MovingGroup) -> None:
    paths = ["root:a", "root:a:b", "root:a:b:c", "root:ab", "root:d"]
    homes = {path: await group.bear(path) for path in paths}
    target = 3 - homes["root:a"]
    await ask(group, cluster="root:a", shard=f"shard-{target}")
    await until(lambda: is_quiet(group))
    assert {path: group.owner(path) for path in paths} == homes | {"root:a": target}
    answer = await ask(group, cluster="root:a", shard="shard-2", children=True)
    assert answer["paths"] == ["root:a", "root:a:b", "root:a:b:c"]
    await until(lambda: is_quiet(group))
    assert {path: group.owner(path) for path in paths} == homes | dict.fromkeys(answer["paths"], 2)
    ended = [end for end in moves(group)["ended"] if end["number"] > answer["before"]]
    assert {end["path"]: end["outcome"] for end in ended} == dict.fromkeys(answer["paths"], "done")
    assert group.violations() == []


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"cluster": "root:none", "shard": "shard-2"}, "there is no logical cluster root:none"),
        ({"cluster": "root:a", "shard": "shard-9"}, "there is no shard shard-9, only shard-1, shard-2"),
        ({"cluster": "root:a", "cancel": True}, "root:a is not being moved"),
    ],
)
async def test_what_cannot_be_asked(group: MovingGroup, request_: dict[str, Any], sentence: str) -> None:
    await group.bear("root:a")
    with pytest.raises(Refused, match=sentence):
        await ask(group, **request_)
    client = group.client(2)
    with pytest.raises(NotKeeper):
        await client.show_moves()
    await client.close()


async def test_a_new_shard_gets_its_share_with_what_lives_there(group: MovingGroup) -> None:
    paths = [f"root:t{n}" for n in range(60)]
    for path in paths:
        await group.bear(path)
    ids = {path: group.cluster(path).id for path in paths}
    await group.start(3)
    await until(lambda: is_quiet(group) and len(group.shards[3].ownership.granted()) > SLOTS // 4, 90)
    slots = [len(shard.ownership.granted()) for shard in group.shards.values()]
    assert max(slots) - min(slots) <= 1 and sum(slots) == SLOTS
    on_third = [path for path in paths if group.owner(path) == 3]
    assert 8 < len(on_third) < 32
    assert {path: group.cluster(path).id for path in paths} == ids
    assert all(group.names(path) == {"o0", "o1", "o2"} for path in paths)
    # They follow their slots again: nothing is an exception any more.
    assert all(shard.ownership.statistics().clusters_adopted == 0 for n, shard in group.shards.items() if n != 1)
    for path in on_third:
        await until(lambda id_=ids[path]: keys_of(group.engines[1], id_) == keys_of(group.engines[2], id_) == [], 60)
    assert group.violations() == []


async def test_pins_hold_over_rebalancing(group: MovingGroup) -> None:
    paths = [f"root:t{n}" for n in range(12)]
    for path in paths:
        await group.bear(path)
        await ask(group, cluster=path, shard="shard-2", pin=True)
    await until(lambda: is_quiet(group))
    await change(group, "shard-1", weight=1000)
    await until(lambda: len(group.shards[2].ownership.granted()) < 100, 90)
    await until(lambda: is_quiet(group), 90)
    assert [group.owner(path) for path in paths] == [2] * 12
    assert set(paths) <= set(pins_of(group.shards[1].maps.accepted))
    with pytest.raises(Refused, match="root:t0 is pinned to shard-2"):
        await change(group, "shard-2", "drain")
    await ask(group, cluster="root:t0", unpin=True)
    assert "root:t0" not in pins_of(group.shards[1].maps.accepted)


async def test_a_drained_shard_can_be_removed(group: MovingGroup) -> None:
    paths = [f"root:t{n}" for n in range(25)]
    for path in paths:
        await group.bear(path)
    for path in paths[:5]:  # some live where their slot is not
        await ask(group, cluster=path, shard="shard-2")
    await until(lambda: is_quiet(group))
    with pytest.raises(Refused, match="shard-2 is not drained"):
        await change(group, "shard-2", "remove")
    await change(group, "shard-2", "drain")
    await until(lambda: is_quiet(group) and not group.shards[2].ownership.granted(), 90)
    await until(lambda: all(group.owners(path) == [1] for path in paths), 90)
    with pytest.raises(Refused, match="shard-2 is drained"):
        await ask(group, cluster="root:t0", shard="shard-2")
    shown = await change(group, "shard-2", "remove")
    assert [entry.name for entry in shown.shards] == ["shard-1"]
    assert all(group.names(path) == {"o0", "o1", "o2"} for path in paths)


async def test_a_cordoned_shard_gets_nothing_and_keeps_what_it_has(group: MovingGroup) -> None:
    await group.bear("root:a")
    await change(group, "shard-2", "cordon")
    with pytest.raises(Refused, match="shard-2 is cordoned"):
        await ask(group, cluster="root:a", shard="shard-2")
    before = len(group.shards[2].ownership.granted())
    await change(group, "shard-2", "uncordon", weight=3)
    await until(lambda: len(group.shards[2].ownership.granted()) == SLOTS * 3 // 4, 20)
    assert before == SLOTS // 2


async def test_the_owner_of_the_slot_knows_where_it_is(group: MovingGroup) -> None:
    await group.start(3)
    await until(lambda: is_quiet(group) and len(group.shards[3].ownership.granted()) > SLOTS // 4, 90)
    home = await group.bear("root:a")
    others = [number for number in (1, 2, 3) if number != home]
    for number in (*others, others[0]):
        await ask(group, cluster="root:a", shard=f"shard-{number}")
        await until(lambda: is_quiet(group))
        record = group.shards[home].ownership.cluster_record("root:a")
        assert record is not None and record.moved_to == number == group.owner("root:a")


async def test_waiting_moves_and_one_that_copies_are_cancelled(group: MovingGroup) -> None:
    for path in ("root:a", "root:a:b", "root:a:c"):
        await group.bear(path, 2500)
    for path in ("root:a", "root:a:b", "root:a:c"):
        await ask(group, cluster=path, shard="shard-2")
    await until(lambda: is_quiet(group))
    held = asyncio.Event()
    failpoints.arm("moves.copying", held.set)
    await ask(group, cluster="root:a", shard="shard-1", children=True)
    await asyncio.wait_for(held.wait(), 60)
    answer = await ask(group, cluster="root:a", children=True, cancel=True)
    assert set(answer["paths"]) <= {"root:a", "root:a:b", "root:a:c"} and "root:a:c" in answer["paths"]
    failpoints.disarm()
    await until(lambda: is_quiet(group))
    assert [group.owner(path) for path in answer["paths"]] == [2] * len(answer["paths"])


@pytest.mark.parametrize(
    "step", ["placement.cluster_move", "placement.cluster_publish", "moves.sealed", "moves.adopted"]
)
async def test_moves_go_on_after_deaths_of_all(group: MovingGroup, step: str) -> None:
    for path in ("root:a", "root:b"):
        await group.bear(path)
        await ask(group, cluster=path, shard="shard-1")
    await until(lambda: is_quiet(group))
    reached = asyncio.Event()

    def die() -> None:
        reached.set()
        raise ConnectionResetError("died")

    failpoints.arm(step, die)
    await ask(group, cluster="root:a", shard="shard-2")
    await ask(group, cluster="root:b", shard="shard-2")
    await asyncio.wait_for(reached.wait(), 60)
    failpoints.disarm()
    for number in (1, 2):
        await group.restart(number)
    await until(lambda: is_quiet(group), 90)
    assert [group.owners(path) for path in ("root:a", "root:b")] == [[2], [2]]
    assert group.violations() == []


async def test_the_epoch_of_a_move_that_came_to_nothing_is_not_given_again(group: MovingGroup) -> None:
    for path in ("root:a", "root:b"):
        await group.bear(path, 2500)
        await ask(group, cluster=path, shard="shard-2")
    await until(lambda: is_quiet(group))
    held = asyncio.Event()
    failpoints.arm("moves.copying", held.set)
    await ask(group, cluster="root:a", shard="shard-1")
    await asyncio.wait_for(held.wait(), 60)
    await ask(group, cluster="root:a", cancel=True)
    await ask(group, cluster="root:b", shard="shard-1")
    await until(lambda: is_quiet(group))
    assert (group.owner("root:a"), group.owner("root:b")) == (2, 1)
    await group.restart(1)
    await group.restart(2)
    assert (group.owner("root:a"), group.owner("root:b")) == (2, 1)


async def test_a_path_where_nothing_lives_is_placed_beside_a_logical_cluster(group: MovingGroup) -> None:
    home = await group.bear("root:prod")
    paths = [f"root:try{n}" for n in range(6)]
    assert {group.owner(path) for path in paths} == {1, 2}
    for path in paths:  # by either shard, the keeper's and the other one
        await group.shards[1 + len(path) % 2].place(path, "root:prod")
    assert [group.owners(path) for path in paths] == [[home]] * len(paths)
    assert all(group.stores[home].pending_cluster(path) is None for path in paths)
    with pytest.raises(PlacementRefused, match="there is no logical cluster root:none"):
        await group.shards[2].place("root:x", "root:none")
    other = next(path for path in (f"root:o{n}" for n in range(50)) if group.owner(path) != home)
    await group.bear(other)
    with pytest.raises(PlacementRefused, match=f"there is a logical cluster {other}"):
        await group.shards[2].place(other, "root:prod")
    assert group.owners(other) == [3 - home] and group.names(other) == {"o0", "o1", "o2"}
    assert await group.bear(paths[0]) == home
    await ask(group, cluster=paths[0], shard=f"shard-{3 - home}")
    await until(lambda: group.owners(paths[0]) == [3 - home])


async def test_a_drain_gives_back_paths_where_nothing_lives(group: MovingGroup) -> None:
    for name in ("shard-2", "shard-1"):
        path = next(path for path in (f"root:{name}{n}" for n in range(50)) if group.owner(path) == 1)
        beside = next(path for path in (f"root:b{name}{n}" for n in range(50)) if group.owner(path) == 2)
        await group.bear(beside)
        await group.shards[2].place(path, beside)
        assert group.owners(path) == [2]
    await change(group, "shard-2", "drain")
    await until(lambda: is_quiet(group) and group.owners(path) == [1], 90)
    await until(lambda: not group.shards[2].ownership.adopted(), 30)
    shown = await change(group, "shard-2", "remove")
    assert [entry.name for entry in shown.shards] == ["shard-1"]


@pytest.mark.parametrize("step", ["moves.seal", "moves.sealed", "moves.adopted", "placement.cluster_publish"])
async def test_a_path_is_placed_whoever_dies_on_the_way(group: MovingGroup, step: str) -> None:
    home = await group.bear("root:prod")
    path = next(path for path in (f"root:o{n}" for n in range(50)) if group.owner(path) != home)
    reached = asyncio.Event()

    def die() -> None:
        reached.set()
        raise ConnectionResetError("died")

    failpoints.arm(step, die)
    asking = asyncio.get_running_loop().create_task(group.shards[2].place(path, "root:prod"))
    await asyncio.wait_for(reached.wait(), 10)
    failpoints.disarm()
    for number in (1, 2):
        await group.restart(number)
    await asyncio.wait((asking,))
    assert isinstance(asking.exception(), ServiceUnavailable | None)
    await until(lambda: group.owners(path) == [home], 60)
    await group.shards[2].place(path, "root:prod")

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kcpshard import failpoints
from kcpshard.placement.ownership_states import OwnershipConflict
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Refused
from kcpshard.storage.contract import NotDurable
from kcpshard.verbs.outcome import NotOwned
from tests.contracts.moved_cluster import keys_of
from tests.kcpshard.placement.moving_group import MovingGroup
from tests.kcpshard.placement.shard_group import until

PATH = "root:a"


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[MovingGroup]:
    made = MovingGroup(tmp_path, 2)
    await made.start_all()
    yield made
    failpoints.disarm()
    await made.close()


def request(group: MovingGroup, source: int, epoch: int = 0, **changes: int) -> pb.TakeClusterRequest:
    epoch = epoch or max(shard.maps.accepted.epoch for shard in group.shards.values()) + 10
    return pb.TakeClusterRequest(epoch=epoch, cluster=PATH, source=source, **changes)


async def take(group: MovingGroup, wanted: pb.TakeClusterRequest, target: int) -> pb.TakeClusterResponse:
    client = group.client(target)
    try:
        async with asyncio.timeout(20):
            while (answer := await client.take_cluster(wanted)).stage in ("copying", "handing-over"):
                pass
            return answer
    finally:
        await client.close()


async def test_a_logical_cluster_moves_with_all_it_has(group: MovingGroup) -> None:
    source = await group.bear(PATH, 500)
    target = 3 - source
    before = group.stores[source].durable_revision
    answer = await take(group, request(group, source), target)
    assert (answer.stage, answer.objects) == ("done", 500)
    assert group.owners(PATH) == [target]
    assert len(group.names(PATH)) == 500
    assert await group.write(PATH, "later") > before
    with pytest.raises(NotOwned) as moved:
        group.shards[source].ownership.check(PATH)
    assert moved.value.moved_to == target
    (released,) = group.released
    assert released[:3] == (source, PATH, target) and before <= released[3]
    assert group.stores[target].durable_revision > released[3]
    cluster_id = group.cluster(PATH).id
    await until(lambda: keys_of(group.engines[source], cluster_id) == [])
    assert group.violations() == []


async def test_a_repeat_gets_the_first_answer_and_the_past_none(group: MovingGroup) -> None:
    source = await group.bear(PATH)
    wanted = request(group, source)
    target = 3 - source
    await take(group, wanted, target)
    assert (await take(group, wanted, target)).stage == "done"
    with pytest.raises(OwnershipConflict):
        await group.shards[target].arrivals.take(request(group, source, wanted.epoch - 1))


async def test_it_moves_to_and_fro(group: MovingGroup) -> None:
    source = await group.bear(PATH)
    epoch = request(group, source).epoch
    for n in range(4):
        assert (await take(group, request(group, source, epoch + n), 3 - source)).stage == "done"
        source = 3 - source
        await group.write(PATH, f"from-{n}")
        assert group.owners(PATH) == [source]
    assert group.names(PATH) == {"o0", "o1", "o2", *(f"from-{n}" for n in range(4))}
    assert group.violations() == []


async def test_what_is_written_meanwhile_comes_too_and_nothing_after(group: MovingGroup) -> None:
    source = await group.bear(PATH, 2000)
    written: list[str] = []
    refused = 0
    stop = asyncio.Event()

    async def write() -> None:
        nonlocal refused
        n = 0
        while not stop.is_set():
            n += 1
            try:
                await group.write(PATH, f"w{n}")
                written.append(f"w{n}")
            except NotOwned:
                refused += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        await asyncio.sleep(0.05)
        answer = await take(group, request(group, source), 3 - source)
        await asyncio.sleep(0.05)
        stop.set()
    assert answer.stage == "done"
    assert set(written) <= group.names(PATH)
    assert len(written) > 10
    figures = group.shards[3 - source].arrivals.statistics
    assert sum(figures.pause_s.figures()["counts"]) == 1  # type: ignore[call-overload]
    assert group.violations() == []


async def test_requests_wait_at_the_new_shard_while_it_is_handed_over(group: MovingGroup) -> None:
    source = await group.bear(PATH)
    ownership = group.shards[3 - source].ownership
    met: list[str] = []

    def look() -> None:
        try:
            ownership.check(PATH)
        except NotDurable as reason:
            reason.group.when_durable(lambda: met.append("asked again"))
            met.append("waits")

    failpoints.arm("moves.sealed", look)
    await take(group, request(group, source), 3 - source)
    assert met == ["waits", "asked again"]
    ownership.check(PATH)


async def test_a_copy_can_be_cancelled_and_leaves_nothing(group: MovingGroup) -> None:
    source = await group.bear(PATH, 3000)
    wanted = request(group, source, bytes_per_second=200_000)
    target = 3 - source
    client = group.client(target)
    await client.take_cluster(wanted)
    assert (await client.cancel_take(wanted)).stage == "cancelled"
    assert (await client.cancel_take(wanted)).stage == "cancelled"
    cluster_id = group.cluster(PATH).id
    await until(lambda: keys_of(group.engines[target], cluster_id) == [])
    assert group.owners(PATH) == [source]
    await group.write(PATH, "still here")
    again = request(group, source, wanted.epoch + 1)
    assert (await take(group, again, target)).stage == "done"
    assert (await client.cancel_take(again)).stage == "done"
    await client.close()
    assert "still here" in group.names(PATH)
    assert group.violations() == []


async def test_what_the_other_shard_does_not_have_cannot_be_taken(group: MovingGroup) -> None:
    answer = await take(group, request(group, group.owner(PATH)), 3 - group.owner(PATH))
    assert (answer.stage, answer.note) == ("failed", f"there is no logical cluster {PATH}")
    source = await group.bear(PATH)
    answer = await take(group, request(group, 3 - source), source)
    assert answer.stage == "failed"
    assert group.owners(PATH) == [source]


async def test_only_the_shard_it_is_given_to_may_read_a_sealed_one(group: MovingGroup) -> None:
    source = await group.bear(PATH)
    client = group.client(source)
    await client.seal_cluster(pb.SealClusterRequest(epoch=90, cluster=PATH, moved_to=2 if source == 1 else 1))
    with pytest.raises(Refused):
        async for _ in client.export_cluster(pb.ExportClusterRequest(cluster=PATH, epoch=91, to=3 - source)):
            pass
    await client.close()


class Killed(Exception):
    """What a failpoint does here in place of SIGKILL: the shard is stopped at once, and started again."""


STEPS = (
    "moves.begun", "moves.copying", "moves.copied", "moves.sealing", "moves.seal", "moves.seal_durable", "moves.sealed",
    "moves.adopting", "moves.adopted", "moves.departed", "moves.clearing",
)  # fmt: skip
OF_THE_SOURCE = ("moves.seal", "moves.seal_durable", "moves.departed", "moves.clearing")


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("step", STEPS)
async def test_a_death_at_any_step_leaves_one_owner(group: MovingGroup, step: str, both: bool) -> None:
    """The shard that gives or the one that takes dies there, or both; the keeper asks again."""
    source = await group.bear(PATH, 300)
    target, wanted = 3 - source, request(group, source)
    cluster_id = group.cluster(PATH).id
    died = asyncio.Event()

    def die() -> None:
        died.set()
        raise Killed

    failpoints.arm(step, die)
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_ask_until(group, wanted, target, died))
        await asyncio.wait_for(died.wait(), 60)
        asking.cancel()
    failpoints.disarm()
    assert len(group.owners(PATH)) <= 1
    victim = source if step in OF_THE_SOURCE else target
    for number in (source, target) if both else (victim,):
        await group.restart(number)
    assert len(group.owners(PATH)) <= 1
    if group.owners(PATH):
        await group.write(PATH, "between")
    assert (await take(group, wanted, target)).stage == "done"
    assert group.owners(PATH) == [target]
    assert {f"o{n}" for n in range(300)} <= group.names(PATH)
    await until(lambda: keys_of(group.engines[source], cluster_id) == [])
    assert group.violations() == []


async def _ask_until(group: MovingGroup, wanted: pb.TakeClusterRequest, target: int, died: asyncio.Event) -> None:
    client = group.client(target)
    try:
        while not died.is_set():
            await client.take_cluster(wanted)
            await asyncio.sleep(0.01)
    finally:
        await client.close()


async def test_what_was_never_begun_is_cancelled_at_once(group: MovingGroup) -> None:
    source = await group.bear(PATH)
    client = group.client(3 - source)
    wanted = request(group, source)
    assert (await client.cancel_take(wanted)).stage == "cancelled"
    other = pb.TakeClusterRequest(epoch=wanted.epoch, cluster="root:b", source=source)
    with pytest.raises(Refused):
        await client.take_cluster(other)
    await client.close()
    assert group.owners(PATH) == [source]

import asyncio

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.controllers.export_followers import ExportFollowers
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from kcpshard.tenancy.exports import ExportReference
from tests.contracts.shared_apis import EXPORTS, SharedApis, shared

__all__ = ["shared"]
WIDGETS = ExportReference("exporter", "widgets")


async def test_who_binds_an_export_is_told_when_it_changes(shared: SharedApis) -> None:
    await shared.publish()
    told: list[tuple[int, str]] = []
    followers = ExportFollowers(shared.consumer.shard, lambda cluster_id, name: told.append((cluster_id, name)))
    followers.follow(WIDGETS, 7, "a")
    followers.follow(WIDGETS, 8, "b")
    await followers.look()
    assert told == [(7, "a"), (8, "b")]
    await followers.look()
    assert len(told) == 2, "nothing has changed"
    followers.leave(7, "a")
    await shared.exporter.patch(f"{EXPORTS}/widgets", {"metadata": {"labels": {"new": "yes"}}})
    await followers.look()
    assert told[2:] == [(8, "b")]
    await shared.exporter.do("DELETE", f"{EXPORTS}/widgets")
    await followers.look()
    assert told[3:] == [(8, "b")]


async def test_a_shard_that_is_away_changes_nothing(shared: SharedApis) -> None:
    told: list[str] = []
    followers = ExportFollowers(shared.consumer.shard, lambda _id, name: told.append(name))

    async def away(request: pb.Request, timeout_s: float) -> Result:
        raise ServiceUnavailable("away")

    shared.consumer.shard.ask = away
    followers.follow(ExportReference("far", "widgets"), 7, "a")
    followers.saw(ExportReference("far", "widgets"), "5")
    shared.tier.home["far"] = 99
    await followers.look()
    assert told == []


async def test_bindings_are_found_again_at_a_start(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    told: list[str] = []
    followers = ExportFollowers(shared.consumer.shard, lambda _id, name: told.append(name))
    task = shared.tier.tasks.create_task(followers.run())
    async with asyncio.timeout(60):
        while not told:
            followers.wake()
            await followers.look()
            await asyncio.sleep(0.005)
    assert set(told) == {"widgets"}
    task.cancel()

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.slots import encode_table, even_table, slot_of
from kcpshard.peers import Peers
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result


class Shard:
    """A Caller that answers what it is told to."""

    def __init__(self, *answers: Result) -> None:
        self.answers, self.asked = list(answers), 0

    def call(self, request: pb.Request, deadline: float) -> Awaitable[Result]:
        self.asked += 1
        return _ready(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    def list(self, request: pb.Request, deadline: float) -> Any:
        raise AssertionError("not asked here")

    def connect(self, request: pb.Request, deadline: float) -> Any:
        raise AssertionError("not asked here")


async def _ready(result: Result) -> Result:
    return result


def no_dial(address: str) -> Any:
    raise AssertionError(address)


def shard_map(epoch: int, owner: int, *numbers: int) -> pb.ShardMap:
    slots = even_table(1)
    slots[slot_of("root:a")] = owner
    entries = [pb.ShardEntry(number=n, address=f"unix:/nowhere/{n}") for n in numbers]
    return pb.ShardMap(epoch=epoch, slots=encode_table(slots), shards=entries)


async def test_without_a_map_everything_is_ours() -> None:
    local = Shard(Result(200, b"{}"))
    async with asyncio.TaskGroup() as tasks:
        peers = Peers(1, local, no_dial, tasks)
        assert (await peers.call(pb.Request(cluster="root:a"))).code == 200


async def test_who_answers_that_it_is_elsewhere_is_followed() -> None:
    local, other = Shard(Result(421, b"", moved_to=2)), Shard(Result(201, b"{}"))
    async with asyncio.TaskGroup() as tasks:
        peers = Peers(1, local, no_dial, tasks)
        peers.adopt(shard_map(1, 1, 1, 2))
        task = tasks.create_task(asyncio.sleep(0))
        peers._links[2] = ("unix:/nowhere/2", other, task)  # type: ignore[assignment]
        assert (await peers.call(pb.Request(cluster="root:a"))).code == 201
        peers.adopt(shard_map(2, 2, 1, 2))
        assert (await peers.call(pb.Request(cluster="root:a"))).code == 201
        assert local.asked == 1
        peers.close()


async def test_a_shard_that_nobody_knows() -> None:
    local = Shard(Result(200, b"{}"))
    async with asyncio.TaskGroup() as tasks:
        peers = Peers(1, local, no_dial, tasks)
        peers.adopt(shard_map(1, 3, 1))
        with pytest.raises(ServiceUnavailable, match="shard 3 is not known yet"):
            await peers.call(pb.Request(cluster="root:a"))


async def test_a_request_that_nobody_serves_ends_with_its_deadline() -> None:
    local = Shard(Result(421, b"", moved_to=0))
    async with asyncio.TaskGroup() as tasks:
        peers = Peers(1, local, no_dial, tasks)
        with pytest.raises(ServiceUnavailable, match="no shard serves root:a"):
            await peers.call(pb.Request(cluster="root:a"), 0.02)

"""Connections follow the map."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator

import pytest

from kcpfront.metrics import SHARD_COUNTS
from kcpfront.shard_channels import ShardChannels
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.caller import request, soon
from tests.contracts.scripted_verbs import ScriptedVerbs
from tests.kcpshard.rpc.test_client import serving


@pytest.fixture
def directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp") as found:
        yield found


@pytest.fixture
async def channels() -> AsyncIterator[ShardChannels]:
    async with asyncio.TaskGroup() as tasks:
        made = ShardChannels("front-1")
        running = tasks.create_task(made.run())
        yield made
        running.cancel()


def entry(number: int, address: str) -> pb.ShardEntry:
    return pb.ShardEntry(number=number, address=address)


async def test_each_shard_of_the_map_is_called_by_its_number(channels: ShardChannels, directory: str) -> None:
    one, two = ScriptedVerbs(), ScriptedVerbs()
    async with serving(one, f"unix:{directory}/1"), serving(two, f"unix:{directory}/2"):
        channels.update([entry(1, f"unix:{directory}/1"), entry(2, f"unix:{directory}/2")])
        await channels.callers[2].call(request("echo"), soon())
        assert (len(one.requests), len(two.requests)) == (0, 1)
        assert set(channels.watchers) == {1, 2}
        assert channels.statistics()[2]["address"] == f"unix:{directory}/2"


async def test_lists_are_counted(channels: ShardChannels, directory: str) -> None:
    async with serving(ScriptedVerbs(), f"unix:{directory}/1"):
        channels.update([entry(1, f"unix:{directory}/1")])
        await channels.callers[1].call(request("echo"), soon())
        assert channels.counts()[1]["lists"] == 0
        await channels.callers[1].list(request("echo"), soon())
        counts = channels.counts()[1]
        assert (counts["lists"], counts["sent_again"], counts["streams_opened"]) == (1, 0, 2)
        assert set(counts) == set(SHARD_COUNTS)


async def test_a_moved_address_is_followed_and_an_old_one_let_go(channels: ShardChannels, directory: str) -> None:
    verbs = ScriptedVerbs()
    channels.update([entry(1, f"unix:{directory}/gone"), entry(2, f"unix:{directory}/2")])
    old, kept = channels.callers[1], channels.callers[2]
    waiting = old.call(request("echo"), soon())
    async with serving(verbs, f"unix:{directory}/new"):
        channels.update([entry(1, f"unix:{directory}/new"), entry(2, f"unix:{directory}/2")])
        assert channels.callers[2] is kept
        with pytest.raises(ServiceUnavailable):
            await waiting
        assert (await channels.callers[1].call(request("echo"), soon())).code == 200
    channels.update([])
    assert not channels.callers
    assert not channels.watchers


async def test_shards_without_an_address_or_out_of_reach_are_left_out(channels: ShardChannels) -> None:
    channels.update([entry(1, ""), entry(2, "10.0.0.1:7000")])
    assert not channels.callers

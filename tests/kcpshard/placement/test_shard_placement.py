"""The parts together are tested in test_membership.py; here only what this module decides."""

from typing import Any

import pytest

from kcpshard.placement.shard_placement import ShardPlacement
from kcpshard.rpc import shard_pb2 as pb
from tests.kcpshard.placement.fake_store import FakeStore


class FakeChannel:
    def __init__(self, address: str) -> None:
        self.address, self.closed = address, False

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **options: None

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("number", "keeps"), [(1, True), (2, False)])
def test_shard_1_keeps_the_map_of_a_new_installation(number: int, keeps: bool) -> None:
    placement = ShardPlacement(FakeStore(), pb.ShardEntry(number=number), (), FakeChannel, 2)
    assert (placement.keeper is not None) is keeps


async def test_a_shard_commands_itself_directly_and_others_over_one_channel_each() -> None:
    opened: list[FakeChannel] = []

    def dial(address: str) -> FakeChannel:
        opened.append(FakeChannel(address))
        return opened[-1]

    placement = ShardPlacement(FakeStore(), pb.ShardEntry(number=1), (), dial, 2)
    assert placement._commands_of(pb.ShardEntry(number=1)) is placement.commands
    other = placement._commands_of(pb.ShardEntry(number=2, admin_address="host:1"))
    assert placement._commands_of(pb.ShardEntry(number=2, admin_address="host:1")) is other
    assert [channel.address for channel in opened] == ["host:1"]
    await placement.close()
    assert opened[0].closed

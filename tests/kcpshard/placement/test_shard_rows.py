"""Rows of shards that answer are tested with the service, tests/kcpshard/test_placement_service.py."""

from typing import Any

from kcpshard.placement.shard_map import initial_map
from kcpshard.placement.shard_rows import shard_rows


def refuse(address: str) -> Any:
    raise ValueError(f"{address} needs a certificate")


async def test_a_shard_that_never_served_is_joining_and_one_out_of_reach_unreachable() -> None:
    shard_map = initial_map(2)
    shard_map.shards[1].admin_address = "host:1"
    rows = await shard_rows(shard_map, refuse)
    assert [(row.name, row.state, row.slots, row.clusters) for row in rows] == [
        ("shard-1", "Joining", 8192, -1),
        ("shard-2", "Unreachable", 8192, -1),
    ]

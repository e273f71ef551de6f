"""What `kcp shards list` shows: the map, and the statistics of each shard that answers."""

import asyncio
from collections import Counter
from typing import NamedTuple

import orjson

from kcpshard.api.slots import decode_table
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Dial, PlacementClient, Refused, Unreachable, connect

ANSWER_S = 2.0


class ShardRow(NamedTuple):
    """-1: the shard did not say."""

    number: int
    name: str
    address: str
    slots: int
    clusters: int
    objects: int
    # Ready, ReadOnly (its disk takes no writes), Cordoned, Draining, Drained, Joining (never served yet), Unreachable
    state: str
    epoch: int  # of its ownership
    weight: int = 1


async def shard_rows(shard_map: pb.ShardMap, dial: Dial) -> list[ShardRow]:
    """One row per shard in the map, asked at the same time."""
    slots = Counter(decode_table(shard_map.slots))
    async with asyncio.TaskGroup() as tasks:
        rows = [tasks.create_task(_row(entry, slots[entry.number], dial)) for entry in shard_map.shards]
    return [row.result() for row in rows]


async def _row(entry: pb.ShardEntry, slots: int, dial: Dial) -> ShardRow:
    if not entry.admin_address:
        return ShardRow(entry.number, entry.name, "", slots, -1, -1, "Joining", entry.ownership_epoch, entry.weight)
    client = None
    try:
        client = PlacementClient(connect(dial, entry.admin_address))
        found = orjson.loads(await client.statistics(ANSWER_S))
    except (Unreachable, Refused):
        return ShardRow(
            entry.number, entry.name, entry.address, slots, -1, -1, "Unreachable", entry.ownership_epoch, entry.weight
        )
    finally:
        if client is not None:
            await client.close()
    state = "Cordoned" if entry.cordoned else "Ready"
    if entry.draining:
        state = "Draining" if slots or found.get("clusters") else "Drained"
    if found.get("store", {}).get("read_only"):
        state = "ReadOnly"
    clusters, objects = found.get("clusters", -1), found.get("objects", -1)
    return ShardRow(
        entry.number, entry.name, entry.address, found["slots"], clusters, objects, state, found["ownershipEpoch"]
    )

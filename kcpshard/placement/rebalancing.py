"""Which slots should move next so that every shard has its share. Pure.

A share is proportional to the shard's weight, but never less than what cannot move from it. A cordoned shard keeps what
it has and gets nothing, one that is drained gives away all it has; a shard that has not claimed its initial slots takes
no part yet.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from kcpshard.api.slots import decode_table
from kcpshard.rpc import shard_pb2 as pb


class PlannedMove(NamedTuple):
    source: int
    destination: int
    slots: tuple[int, ...]


def plan_move(shard_map: pb.ShardMap, immovable: Collection[int]) -> PlannedMove | None:
    """The largest useful move of slots outside `immovable`, None if nothing can be improved."""
    table = decode_table(shard_map.slots)
    excess = _excess(table, _weights(shard_map), immovable)
    if not excess:
        return None
    destination = min(excess, key=lambda shard: (excess[shard], shard))
    if excess[destination] >= 0:
        return None
    for source in sorted(excess, key=lambda shard: (-excess[shard], shard)):
        count = min(excess[source], -excess[destination])
        if count <= 0:
            return None
        movable = [slot for slot, owner in enumerate(table) if owner == source and slot not in immovable]
        if movable:
            return PlannedMove(source, destination, tuple(movable[:count]))
    return None


def shares(slots: int, weights: Mapping[int, int]) -> dict[int, int]:
    """`slots` divided in proportion to the weights; what does not divide goes to the largest remainders."""
    total = sum(weights.values())
    if not total:
        return {}
    found = {shard: slots * weight // total for shard, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda shard: (-(slots * weights[shard] % total), shard))
    for shard in by_remainder[: slots - sum(found.values())]:
        found[shard] += 1
    return found


def _weights(shard_map: pb.ShardMap) -> dict[int, int]:
    taking_part = [e for e in shard_map.shards if e.ownership_epoch and (e.draining or not e.cordoned)]
    return {e.number: 0 if e.draining else e.weight for e in taking_part}


def _excess(table: Sequence[int], weights: Mapping[int, int], immovable: Collection[int]) -> dict[int, int]:
    """Slots above the share (below it: negative) of each shard that takes part."""
    held, stuck = dict.fromkeys(weights, 0), dict.fromkeys(weights, 0)
    for slot, owner in enumerate(table):
        if owner in held:
            held[owner] += 1
            stuck[owner] += slot in immovable
    wanted = _shares_above(stuck, sum(held.values()), weights)
    return {shard: held[shard] - wanted[shard] for shard in wanted}


def _shares_above(least: Mapping[int, int], slots: int, weights: Mapping[int, int]) -> dict[int, int]:
    """As `shares`, but whoever must keep more than his share keeps that, and the others divide what is left."""
    found = shares(slots, weights)
    over = [shard for shard in found if found[shard] < least[shard]]
    if not over:
        return found
    kept = {shard: least[shard] for shard in over}
    rest = {shard: weight for shard, weight in weights.items() if shard not in kept}
    return kept | _shares_above(least, slots - sum(kept.values()), rest)

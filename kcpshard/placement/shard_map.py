"""The shard map as the keeper writes it: reading it, and the next one after a change. Pure; messages are never changed,
each step returns a new one with a higher epoch.
"""

from collections.abc import Iterable, Mapping

from kcpshard.api.slots import decode_table, encode_table, even_table, slot_of, slots_of
from kcpshard.rpc import shard_pb2 as pb

KEEPER_CLUSTER = "system:shards"  # pinned; the shard that owns it keeps the map
KEYS_CLUSTER = "system:keys"  # pinned to the same shard: what it holds travels with the map
FIRST_KEEPER = 1
DEFAULT_WEIGHT = 1


def initial_map(shards: int) -> pb.ShardMap:
    """Of a new installation: slots divided evenly, nobody registered yet."""
    return pb.ShardMap(
        epoch=1,
        slots=encode_table(even_table(shards)),
        pins=[pb.Pin(cluster=path, shard=FIRST_KEEPER) for path in (KEEPER_CLUSTER, KEYS_CLUSTER)],
        shards=[new_entry(number) for number in range(1, shards + 1)],
    )


def new_entry(number: int, name: str = "") -> pb.ShardEntry:
    return pb.ShardEntry(number=number, name=name or f"shard-{number}", weight=DEFAULT_WEIGHT)


def entry_of(shard_map: pb.ShardMap, number: int) -> pb.ShardEntry | None:
    return next((entry for entry in shard_map.shards if entry.number == number), None)


def pins_of(shard_map: pb.ShardMap) -> dict[str, int]:
    return {pin.cluster: pin.shard for pin in shard_map.pins}


def owner_of(shard_map: pb.ShardMap, path: str) -> int:
    return pins_of(shard_map).get(path) or decode_table(shard_map.slots)[slot_of(path)]


def granted_slots(shard_map: pb.ShardMap, number: int) -> list[int]:
    return slots_of(decode_table(shard_map.slots), number)


def with_entry(shard_map: pb.ShardMap, entry: pb.ShardEntry) -> pb.ShardMap:
    """The map with that shard added or replaced; the same map if that changes nothing."""
    if entry_of(shard_map, entry.number) == entry:
        return shard_map
    entries = {e.number: e for e in shard_map.shards} | {entry.number: entry}
    return _next(shard_map, entries)


def with_moved_slots(shard_map: pb.ShardMap, slots: Iterable[int], to: int, epochs: Mapping[int, int]) -> pb.ShardMap:
    """The map after a move; `epochs` are the new ownership epochs of the shards that took part."""
    table = decode_table(shard_map.slots)
    for slot in slots:
        table[slot] = to
    entries = {}
    for entry in shard_map.shards:
        entries[entry.number] = changed = pb.ShardEntry()
        changed.CopyFrom(entry)
        changed.ownership_epoch = max(entry.ownership_epoch, epochs.get(entry.number, 0))
    moved = _next(shard_map, entries)
    moved.slots = encode_table(table)
    return moved


def with_keys(shard_map: pb.ShardMap, keys: Iterable[pb.SigningKey]) -> pb.ShardMap:
    changed = _next(shard_map, {entry.number: entry for entry in shard_map.shards})
    del changed.keys[:]
    changed.keys.extend(keys)
    return changed


def with_pin(shard_map: pb.ShardMap, path: str, shard: int) -> pb.ShardMap:
    """With that logical cluster pinned there and nowhere else; 0: pinned nowhere."""
    changed = _next(shard_map, {entry.number: entry for entry in shard_map.shards})
    pins = [pin for pin in shard_map.pins if pin.cluster != path]
    del changed.pins[:]
    changed.pins.extend([*pins, pb.Pin(cluster=path, shard=shard)] if shard else pins)
    return changed


def without_shard(shard_map: pb.ShardMap, number: int) -> pb.ShardMap:
    return _next(shard_map, {entry.number: entry for entry in shard_map.shards if entry.number != number})


def named(shard_map: pb.ShardMap, name: str) -> pb.ShardEntry | None:
    return next((entry for entry in shard_map.shards if entry.name == name), None)


def without_private_keys(shard_map: pb.ShardMap) -> pb.ShardMap:
    """What whoever signs nothing gets to see."""
    shown = pb.ShardMap()
    shown.CopyFrom(shard_map)
    for key in shown.keys:
        key.private_key = b""
    return shown


def _next(shard_map: pb.ShardMap, entries: Mapping[int, pb.ShardEntry]) -> pb.ShardMap:
    """`epoch` grows by one; the keeper raises it further where a move's epoch lies above."""
    return pb.ShardMap(
        epoch=shard_map.epoch + 1,
        slots=shard_map.slots,
        pins=shard_map.pins,
        shards=[entries[number] for number in sorted(entries)],
        keys=shard_map.keys,
    )

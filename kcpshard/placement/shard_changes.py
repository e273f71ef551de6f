"""What an administrator changes about shards: weight, cordon, drain, removal. Pure: the next map, or why not."""

from kcpshard.api.slots import decode_table
from kcpshard.placement.shard_map import KEEPER_CLUSTER, KEYS_CLUSTER, named, pins_of, with_entry, without_shard
from kcpshard.rpc import shard_pb2 as pb

SYSTEM_CLUSTERS = frozenset((KEEPER_CLUSTER, KEYS_CLUSTER))
MAX_WEIGHT = 1000


class ChangeRefused(Exception):
    """It cannot be done; the text is a sentence for the operator."""


def changed(shard_map: pb.ShardMap, request: pb.ChangeShardRequest) -> pb.ShardMap:
    """The map after it; the same one if nothing changes. Whether one to be removed is empty is asked elsewhere."""
    entry = found(shard_map, request.shard)
    after = pb.ShardEntry()
    after.CopyFrom(entry)
    if request.weight:
        if request.weight > MAX_WEIGHT:
            raise ChangeRefused(f"a shard's weight is between 1 and {MAX_WEIGHT}, not {request.weight}")
        after.weight = request.weight
    match request.change:
        case "":
            pass
        case "cordon":
            after.cordoned = True
        case "uncordon":
            after.cordoned = after.draining = False
        case "drain":
            _check_drain(shard_map, entry)
            after.cordoned = after.draining = True
        case "remove":
            _check_removal(shard_map, entry)
            return without_shard(shard_map, entry.number)
        case unknown:
            raise ChangeRefused(f"shards cannot be changed by {unknown!r}")
    return with_entry(shard_map, after)


def found(shard_map: pb.ShardMap, name: str) -> pb.ShardEntry:
    entry = named(shard_map, name)
    if entry is None:
        known = ", ".join(each.name for each in shard_map.shards)
        raise ChangeRefused(f"there is no shard {name}, only {known}")
    return entry


def receiving(shard_map: pb.ShardMap, name: str) -> pb.ShardEntry:
    """The shard of that name, if logical clusters may be moved to it."""
    entry = found(shard_map, name)
    if not entry.ownership_epoch:
        raise ChangeRefused(f"{name} has never served yet")
    if entry.cordoned:
        raise ChangeRefused(f"{name} is {'drained' if entry.draining else 'cordoned'}: kcp shards uncordon {name}")
    return entry


def _check_drain(shard_map: pb.ShardMap, entry: pb.ShardEntry) -> None:
    pins = pins_of(shard_map).items()
    pinned = [path for path, shard in pins if shard == entry.number and path not in SYSTEM_CLUSTERS]
    if pinned:
        raise ChangeRefused(
            f"{pinned[0]} is pinned to {entry.name}: move it, or kcp move {pinned[0]} --unpin"
            + (f" (and {len(pinned) - 1} more)" if len(pinned) > 1 else "")
        )
    if not any(e.ownership_epoch and not e.cordoned for e in shard_map.shards if e.number != entry.number):
        raise ChangeRefused(f"no other shard could take what {entry.name} has")


def _check_removal(shard_map: pb.ShardMap, entry: pb.ShardEntry) -> None:
    if entry.ownership_epoch and not entry.draining:
        raise ChangeRefused(f"{entry.name} is not drained: kcp shards drain {entry.name}")
    if slots := sum(owner == entry.number for owner in decode_table(shard_map.slots)):
        raise ChangeRefused(f"{entry.name} still has {slots} slots: its drain is not over")

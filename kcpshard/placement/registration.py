"""Whether a shard that reports to the keeper may serve, and what the map says of it afterwards. Pure.

Two dangers are refused here: an old copy of a disk comes back (its ownership epoch is behind), and a shard comes with
another directory than the one that holds its logical clusters.
"""

from kcpshard.api.resource_versions import MAX_SHARD
from kcpshard.placement.shard_map import DEFAULT_WEIGHT, entry_of, new_entry, with_entry
from kcpshard.rpc import shard_pb2 as pb


class RegistrationRefused(Exception):
    """The shard must not serve; the text is a sentence for the operator."""


def contradiction(entry: pb.ShardEntry, data_id: bytes, ownership_epoch: int) -> str:
    """Why a data directory may not serve as that shard, as a sentence with what to do; empty if it may."""
    if entry.data_id and entry.data_id != data_id:
        return (
            f"shard {entry.number} is registered with another data directory (id {entry.data_id.hex()}, this one is "
            f"{data_id.hex() or 'new'}): start it with that directory, or restore it from a backup"
        )
    if ownership_epoch < entry.ownership_epoch:
        return (
            f"the data directory of shard {entry.number} is an old copy: its ownership epoch is {ownership_epoch}, the "
            f"shard map knows {entry.ownership_epoch}: start it with the newest copy, or restore it from a backup"
        )
    return ""


def register(shard_map: pb.ShardMap, reported: pb.ShardEntry, ownership_epoch: int, newest_epoch: int) -> pb.ShardMap:
    """The map with that shard in it, the same one if nothing changes. `newest_epoch` is the highest the keeper has
    given out. Raises RegistrationRefused."""
    if not 0 < reported.number <= MAX_SHARD:
        raise RegistrationRefused(f"a shard's number is between 1 and {MAX_SHARD}, not {reported.number}")
    if not reported.data_id:
        raise RegistrationRefused(f"shard {reported.number} did not say which data directory it has")
    if ownership_epoch > newest_epoch:
        raise RegistrationRefused(
            f"the data directory of the shard that keeps the map is an old copy: shard {reported.number} has ownership "
            f"epoch {ownership_epoch}, the map only {newest_epoch}: start the keeper with the newest copy"
        )
    known = entry_of(shard_map, reported.number)
    if known is not None and (text := contradiction(known, reported.data_id, ownership_epoch)):
        raise RegistrationRefused(text)
    if known is None and ownership_epoch:
        raise RegistrationRefused(
            f"shard {reported.number} belongs to another installation, or the map is an old copy: its ownership epoch "
            f"is {ownership_epoch}, but the map has no such shard"
        )
    return with_entry(shard_map, _merged(known or new_entry(reported.number), reported, ownership_epoch))


def _merged(known: pb.ShardEntry, reported: pb.ShardEntry, ownership_epoch: int) -> pb.ShardEntry:
    """Where it is and what it has comes from the shard; weight and cordon are the operator's, once it is known."""
    weight = known.weight if known.data_id else reported.weight or known.weight or DEFAULT_WEIGHT
    return pb.ShardEntry(
        number=reported.number,
        name=reported.name or known.name,
        address=reported.address,
        admin_address=reported.admin_address,
        sync_address=reported.sync_address,
        weight=weight,
        cordoned=known.cordoned,
        draining=known.draining,
        ownership_epoch=max(known.ownership_epoch, ownership_epoch),
        data_id=reported.data_id,
    )


def too_few_shards(shard_map: pb.ShardMap, wanted: int) -> str:
    """Why an installation with this map cannot be started with `wanted` shards, as a sentence; empty if it can."""
    registered = [entry.number for entry in shard_map.shards if entry.data_id]
    left_out = [number for number in registered if number > wanted]
    if not left_out:
        return ""
    listed = ", ".join(f"shard-{number}" for number in left_out)
    return (
        f"this installation has {len(registered)} shards, {wanted} would leave out {listed} and what is stored there: "
        f"start it with {max(registered)}, or drain and remove them first"
    )

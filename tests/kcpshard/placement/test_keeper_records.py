import pytest

from kcpshard.placement.keeper_records import (
    CLUSTER_MOVES_KEY,
    SLOT_MOVE_KEY,
    KeeperRecords,
    RoleLost,
    handed_over,
    take_over,
)
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.shard_map import initial_map, with_pin
from tests.kcpshard.placement.fake_store import FakeStore


def store() -> FakeStore:
    made = FakeStore()
    made.synchronous = True
    return made


def test_nothing_is_written_once_the_role_is_lost() -> None:
    disk = store()
    records = KeeperRecords(disk, MapCopy(disk))
    records.put(initial_map(1))
    records.put_meta({CLUSTER_MOVES_KEY: b"a"})
    records.closed = True
    with pytest.raises(RoleLost):
        records.put(with_pin(records.accepted, "root:a", 1))
    with pytest.raises(RoleLost):
        records.put_meta({CLUSTER_MOVES_KEY: b"b"})
    assert (records.current.epoch, records.get_meta(CLUSTER_MOVES_KEY)) == (1, b"a")


def test_the_next_keeper_goes_on_from_what_the_last_one_wrote() -> None:
    disk, other = store(), store()
    maps, theirs = MapCopy(disk), MapCopy(other)
    maps.put(initial_map(2))
    theirs.put(initial_map(2))
    other.put_meta({CLUSTER_MOVES_KEY: b"of an earlier time as keeper", SLOT_MOVE_KEY: b"too"})
    maps.put(with_pin(maps.accepted, "root:a", 1), {CLUSTER_MOVES_KEY: b"moves"})
    take_over(other, theirs, handed_over(disk, maps))
    assert theirs.accepted == maps.accepted
    assert (other.get_meta(CLUSTER_MOVES_KEY), other.get_meta(SLOT_MOVE_KEY)) == (b"moves", None)
    take_over(other, theirs, handed_over(disk, maps))  # of the same epoch
    assert theirs.accepted.epoch == 2

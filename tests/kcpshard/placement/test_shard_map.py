from collections import Counter

from kcpshard.api.slots import SLOTS, decode_table, slot_of
from kcpshard.placement.shard_map import (
    KEEPER_CLUSTER,
    KEYS_CLUSTER,
    entry_of,
    granted_slots,
    initial_map,
    new_entry,
    owner_of,
    pins_of,
    with_entry,
    with_moved_slots,
)


def test_a_new_installation() -> None:
    found = initial_map(2)
    assert found.epoch == 1
    assert [entry.name for entry in found.shards] == ["shard-1", "shard-2"]
    assert pins_of(found) == {KEEPER_CLUSTER: 1, KEYS_CLUSTER: 1}
    assert Counter(decode_table(found.slots)) == {1: SLOTS // 2, 2: SLOTS // 2}


def test_pins_come_before_slots() -> None:
    found = initial_map(2)
    assert owner_of(found, KEEPER_CLUSTER) == 1
    assert owner_of(found, "root") == decode_table(found.slots)[slot_of("root")]


def test_a_shard_is_added_in_order_and_only_if_that_changes_something() -> None:
    found = with_entry(with_entry(initial_map(1), new_entry(5)), new_entry(3))
    assert [entry.number for entry in found.shards] == [1, 3, 5]
    assert found.epoch == 3
    assert with_entry(found, new_entry(3)) is found
    assert entry_of(found, 4) is None


def test_a_move_raises_epochs_and_leaves_the_old_map_alone() -> None:
    before = initial_map(2)
    after = with_moved_slots(before, [0, 1], 2, {1: 7, 2: 7})
    assert granted_slots(after, 2)[:2] == [0, 1]
    assert granted_slots(before, 2)[0] == SLOTS // 2
    assert [entry.ownership_epoch for entry in after.shards] == [7, 7]
    assert [entry.ownership_epoch for entry in before.shards] == [0, 0]
    assert after.epoch == 2

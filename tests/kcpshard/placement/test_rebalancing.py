from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.slots import SLOTS, decode_table
from kcpshard.placement.rebalancing import plan_move, shares
from kcpshard.placement.shard_map import entry_of, initial_map, new_entry, with_entry, with_moved_slots
from kcpshard.rpc import shard_pb2 as pb


def grown(initial: int, *numbers: int, **changes: int | bool) -> pb.ShardMap:
    """An installation of `initial` shards and new ones, all of which have claimed."""
    found = initial_map(initial)
    for number in [*range(1, initial + 1), *numbers]:
        entry = new_entry(number)
        entry.ownership_epoch = 1
        found = with_entry(found, entry)
    return found


def changed(shard_map: pb.ShardMap, number: int, **values: int) -> pb.ShardMap:
    entry = pb.ShardEntry()
    known = entry_of(shard_map, number)
    assert known is not None
    entry.CopyFrom(known)
    for name, value in values.items():
        setattr(entry, name, value)
    return with_entry(shard_map, entry)


def rebalanced(shard_map: pb.ShardMap, immovable: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
    """Slots per shard when nothing can be improved any more."""
    for _ in range(20):
        plan = plan_move(shard_map, immovable)
        if plan is None:
            table = decode_table(shard_map.slots)
            return [table.count(entry.number) for entry in shard_map.shards]
        table = decode_table(shard_map.slots)
        assert {table[slot] for slot in plan.slots} == {plan.source}
        assert not immovable.intersection(plan.slots)
        shard_map = with_moved_slots(shard_map, plan.slots, plan.destination, {})
    raise AssertionError("it does not come to an end")


def test_an_even_installation_stays() -> None:
    assert plan_move(grown(3), ()) is None


def test_new_shards_get_their_share() -> None:
    assert rebalanced(grown(2, 3, 4)) == [SLOTS // 4] * 4


def test_weights_decide_the_share() -> None:
    assert rebalanced(changed(grown(1, 2), 2, weight=3)) == [SLOTS // 4, SLOTS * 3 // 4]


def test_a_cordoned_shard_keeps_what_it_has_and_gets_nothing() -> None:
    assert rebalanced(changed(grown(2, 3), 3, cordoned=True)) == [SLOTS // 2, SLOTS // 2, 0]
    assert rebalanced(changed(grown(2, 3), 1, cordoned=True)) == [SLOTS // 2, SLOTS // 4, SLOTS // 4]


def test_who_has_not_claimed_takes_no_part() -> None:
    assert rebalanced(changed(grown(2, 3), 3, ownership_epoch=0)) == [SLOTS // 2, SLOTS // 2, 0]


def test_what_cannot_move_stays() -> None:
    assert rebalanced(grown(1, 2), set(range(SLOTS))) == [SLOTS, 0]
    assert rebalanced(grown(1, 2), set(range(SLOTS - 10))) == [SLOTS - 10, 10]


def test_a_full_source_is_passed_over_for_the_next() -> None:
    half = set(range(SLOTS // 2))
    assert rebalanced(grown(2, 3), half) == [SLOTS // 2, SLOTS // 4, SLOTS // 4]


@given(st.integers(0, SLOTS), st.dictionaries(st.integers(1, 999), st.integers(0, 100), min_size=1))
def test_shares_add_up_and_are_fair(slots: int, weights: dict[int, int]) -> None:
    found = shares(slots, weights)
    total = sum(weights.values())
    if not total:
        assert found == {}
        return
    assert sum(found.values()) == slots
    assert all(abs(found[n] - slots * weight / total) < 1 for n, weight in weights.items())

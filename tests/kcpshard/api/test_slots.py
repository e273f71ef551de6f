from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.slots import (
    SLOTS,
    TABLE_BYTES,
    decode_slots,
    decode_table,
    encode_slots,
    encode_table,
    even_table,
    slot_of,
    slots_of,
)


def test_slots_of_paths_never_change() -> None:
    assert [slot_of(path) for path in ("root", "root:org:team", "system:shards")] == [14683, 9399, 5822]


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 999])
def test_a_new_installation_is_divided_evenly(shards: int) -> None:
    counts = Counter(even_table(shards))
    assert set(counts) == set(range(1, shards + 1))
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_table_is_big_endian_on_disk_and_wire() -> None:
    raw = encode_table(even_table(300))
    assert len(raw) == TABLE_BYTES
    assert raw[-2:] == (300).to_bytes(2, "big")
    assert decode_table(raw) == even_table(300)


def test_no_bytes_are_a_table_without_owners_and_others_are_damaged() -> None:
    assert set(decode_table(b"")) == {0}
    with pytest.raises(ValueError, match="slot table"):
        decode_table(b"\0" * (TABLE_BYTES - 1))


@given(st.sets(st.integers(0, SLOTS - 1)))
def test_sets_of_slots_round_trip(slots: set[int]) -> None:
    assert set(decode_slots(encode_slots(slots))) == slots


def test_a_damaged_set_is_refused() -> None:
    with pytest.raises(ValueError, match="set of slots"):
        decode_slots(b"\0")


def test_slots_of_one_shard() -> None:
    assert slots_of([2, 1, 0, 2], 2) == [0, 3]

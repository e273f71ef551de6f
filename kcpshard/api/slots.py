"""Slots: the unit in which logical clusters are divided among shards, and sets of them. Pure.

A path's slot never changes. How slots belong to shards is the business of `shard_map` (the hint everybody reads) and
`ownership` (the durable truth at each shard).
"""

import sys
from array import array
from collections.abc import Iterable, Sequence
from zlib import crc32

SLOTS = 16_384
SLOT_MASK = SLOTS - 1
TABLE_BYTES = SLOTS * 2


def slot_of(path: str) -> int:
    """CRC-32 rather than hash(): every process and release must agree."""
    return crc32(path.encode()) & SLOT_MASK


def encode_table(table: "array[int]") -> bytes:
    """One shard number per slot, two bytes each, big endian."""
    if sys.byteorder == "big":
        return table.tobytes()
    swapped = table[:]
    swapped.byteswap()
    return swapped.tobytes()


def decode_table(raw: bytes) -> "array[int]":
    """Raises ValueError unless there are exactly SLOTS entries. Empty bytes: nobody owns anything."""
    if not raw:
        return empty_table()
    if len(raw) != TABLE_BYTES:
        raise ValueError(f"a slot table has {TABLE_BYTES} bytes, not {len(raw)}")
    table = array("H", raw)
    if sys.byteorder == "little":
        table.byteswap()
    return table


def empty_table() -> "array[int]":
    return array("H", bytes(TABLE_BYTES))


def even_table(shards: int) -> "array[int]":
    """Slots of a new installation: shards 1 … N own ranges whose lengths differ by at most one."""
    return array("H", (1 + slot * shards // SLOTS for slot in range(SLOTS)))


def slots_of(table: Sequence[int], shard: int) -> list[int]:
    return [slot for slot, owner in enumerate(table) if owner == shard]


def encode_slots(slots: Iterable[int]) -> bytes:
    """A set of slots as a bitmap of 2 kB."""
    bitmap = bytearray(SLOTS // 8)
    for slot in slots:
        bitmap[slot >> 3] |= 1 << (slot & 7)
    return bytes(bitmap)


def decode_slots(bitmap: bytes) -> list[int]:
    if len(bitmap) != SLOTS // 8:
        raise ValueError(f"a set of slots has {SLOTS // 8} bytes, not {len(bitmap)}")
    return [slot for slot in range(SLOTS) if bitmap[slot >> 3] & 1 << (slot & 7)]

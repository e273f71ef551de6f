"""A logical cluster's range in pages, as one shard hands it to another: keys without the id, values as they are stored.

Pure but for reading the engine. A page is bounded by pairs and by bytes; it is read in small steps, because one value
may have megabytes and the engine only counts pairs.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kcpshard.storage import keyspace
from kcpshard.storage.contract import KeyValueEngine

PAGE_PAIRS, PAGE_BYTES = 256, 256 * 1024
_STEP = 16  # pairs read at once while they are small
_SMALL = 32 * 1024  # bytes a pair, above which they are read one by one
_SIZES = struct.Struct(">II")

Pair = tuple[bytes, bytes]


class DamagedPage(Exception):
    """A page that does not hold what its sizes say."""


class Page(NamedTuple):
    pairs: Sequence[Pair]
    is_last: bool  # of the range asked for


def object_page(engine: KeyValueEngine, prefix: bytes, after: bytes) -> Page:
    """Objects behind the key `after` (empty: from the first one on), in key order; written, perhaps not durable."""
    start = prefix + after + b"\0" if after else prefix
    return _page(engine, keyspace.OBJECTS, len(prefix), start, keyspace.after_prefix(prefix))


def record_page(engine: KeyValueEngine, prefix: bytes, after: bytes, upto: int) -> Page:
    """Log records behind the key `after` (revision and n) and at or below the revision `upto`, in order."""
    start = prefix + after + b"\0" if after else prefix
    return _page(engine, keyspace.LOG, len(prefix), start, prefix + keyspace.number(upto + 1))


def _page(engine: KeyValueEngine, family: str, skip: int, start: bytes, end: bytes) -> Page:
    pairs: list[Pair] = []
    size, step = 0, _STEP
    while len(pairs) < PAGE_PAIRS and size < PAGE_BYTES:
        found = engine.scan(family, start, end, step)
        read = sum(len(value) for _, value in found)
        pairs += [(key[skip:], value) for key, value in found]
        if len(found) < step:
            return Page(pairs, True)
        start = found[-1][0] + b"\0"
        size += read
        step = _STEP if read < _SMALL * len(found) else 1
    return Page(pairs, False)


def encode_pairs(pairs: Sequence[Pair]) -> bytes:
    parts: list[bytes] = []
    for key, value in pairs:
        parts += (_SIZES.pack(len(key), len(value)), key, value)
    return b"".join(parts)


def decode_pairs(raw: bytes) -> Iterator[Pair]:
    """Raises DamagedPage."""
    at, end = 0, len(raw)
    while at < end:
        if at + _SIZES.size > end:
            raise DamagedPage("a page ends within the sizes of a pair")
        key_size, value_size = _SIZES.unpack_from(raw, at)
        at += _SIZES.size
        value_at = at + key_size
        if value_at + value_size > end:
            raise DamagedPage("a page ends within a pair")
        yield raw[at:value_at], raw[value_at : value_at + value_size]
        at = value_at + value_size

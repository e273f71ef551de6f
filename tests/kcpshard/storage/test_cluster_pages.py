import pytest

from kcpshard.storage import keyspace
from kcpshard.storage.cluster_pages import (
    PAGE_BYTES,
    PAGE_PAIRS,
    DamagedPage,
    decode_pairs,
    encode_pairs,
    object_page,
    record_page,
)
from kcpshard.storage.memory_engine import MemoryEngine

PREFIX = keyspace.number(5)


def engine_with(family: str, pairs: list[tuple[bytes, bytes]]) -> MemoryEngine:
    engine = MemoryEngine()
    batch = engine.batch()
    for key, value in pairs:
        batch.put(family, key, value)
    engine.write(batch)
    return engine


def test_pairs_survive_their_encoding() -> None:
    pairs = [(b"", b""), (b"a\0b", b"x" * 70_000), (b"c", b"")]
    assert list(decode_pairs(encode_pairs(pairs))) == pairs


@pytest.mark.parametrize("cut", [1, 5, 9, 12])
def test_a_page_that_is_cut_is_noticed(cut: int) -> None:
    whole = encode_pairs([(b"key", b"value")])
    with pytest.raises(DamagedPage):
        list(decode_pairs(whole[:-cut]))


def test_pages_of_objects_are_the_whole_range_and_nothing_else() -> None:
    own = [(PREFIX + b"configmaps\0ns\0%04d" % n, b"v%d" % n) for n in range(600)]
    engine = engine_with(
        "objects", [*own, (keyspace.number(4) + b"x\0\0y", b""), (keyspace.number(6) + b"x\0\0y", b"")]
    )
    found: list[tuple[bytes, bytes]] = []
    after, pages, is_last = b"", 0, False
    while not is_last:
        page = object_page(engine, PREFIX, after)
        found += page.pairs
        after, pages, is_last = found[-1][0], pages + 1, page.is_last
        assert len(page.pairs) <= PAGE_PAIRS
    assert [(PREFIX + key, value) for key, value in found] == own
    assert pages == 3


def test_large_values_make_short_pages() -> None:
    engine = engine_with("objects", [(PREFIX + b"t\0\0%04d" % n, b"x" * 200_000) for n in range(40)])
    sizes = []
    after, is_last = b"", False
    while not is_last:
        page = object_page(engine, PREFIX, after)
        sizes.append(sum(len(value) for _, value in page.pairs))
        after, is_last = page.pairs[-1][0], page.is_last
    assert max(sizes) <= 16 * 200_000 + PAGE_BYTES


def test_records_are_read_up_to_a_revision() -> None:
    engine = engine_with("log", [(keyspace.log_key(5, revision, 0), b"r%d" % revision) for revision in (10, 20, 30)])
    page = record_page(engine, PREFIX, b"", 20)
    assert [value for _, value in page.pairs] == [b"r10", b"r20"] and page.is_last
    page = record_page(engine, PREFIX, page.pairs[-1][0], 30)
    assert [value for _, value in page.pairs] == [b"r30"] and page.is_last

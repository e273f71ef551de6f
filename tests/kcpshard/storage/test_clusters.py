import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.storage import keyspace
from kcpshard.storage.clusters import decode_path, decode_usage, encode_path, encode_usage
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from tests.contracts.store_contract import START_US, born
from tests.contracts.stored_objects import put

NUMBERS = st.integers(0, 2**63 - 1)


@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=4))
def test_usage_records_round_trip(log_bytes: int, oldest: list[int]) -> None:
    assert decode_usage(encode_usage(log_bytes, oldest), len(oldest), 7) == (log_bytes, oldest)


def test_a_retention_class_added_later_begins_at_birth() -> None:
    assert decode_usage(encode_usage(5, [100]), 3, 50) == (5, [100, 49, 49])


@pytest.mark.parametrize("state", ["Active", "Sealed", "Deleting"])
def test_path_records_round_trip(state: str) -> None:
    assert decode_path(encode_path(9, state)) == (9, state)


async def test_an_id_finds_its_incarnation_and_no_other() -> None:
    store = Store(MemoryEngine(), 1, lambda: START_US)
    cluster = await born(store, "root:a")
    assert store.cluster_by_id(cluster.id) is cluster
    assert store.cluster_by_id(cluster.id + 1000) is None
    await store.close()


async def test_a_cluster_without_its_usage_record_is_not_served() -> None:
    engine = MemoryEngine()
    batch = engine.batch()
    batch.put(keyspace.META, keyspace.FORMAT_KEY, b'{"format":1,"shard":1}')
    batch.put(keyspace.META, keyspace.path_key("root"), encode_path(9, "Active"))
    engine.write(batch)
    store = Store(engine, 1, lambda: START_US)
    with pytest.raises(RuntimeError, match="no usage record"):
        store.find_cluster("root")
    await store.close()


async def test_what_upper_layers_cache_lives_with_the_instance() -> None:
    store = Store(MemoryEngine(), 1, lambda: START_US)
    cluster, _ = store.create_cluster("root", [put("a")])
    cluster.cached["catalog"] = "derived"
    assert store.pending_cluster("root") is cluster
    assert cluster.cached == {"catalog": "derived"}
    await store.close()

import pytest

from kcpshard import failpoints
from kcpshard.storage import keyspace, range_removal
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.verification import violations
from tests.contracts.moved_cluster import keys_of
from tests.contracts.store_contract import START_US, born, durable
from tests.contracts.stored_objects import put


class Interrupted(Exception):
    pass


def interrupt() -> None:
    raise Interrupted


async def test_a_removal_that_was_cut_short_is_finished_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_removal, "_SLICE_S", 0.0)
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    cluster = await born(store, "root:a", [put(f"o{n}") for n in range(400)])
    neighbour = await born(store, "root:b", [put("kept")])
    await durable(store.transfers.depart(cluster))
    failpoints.arm("moves.clearing", interrupt, on_hit=2)
    try:
        with pytest.raises(Interrupted):
            await store.transfers.clear(cluster.id)
    finally:
        failpoints.disarm()
    again = Store(engine, 1, lambda: START_US)
    assert violations(engine) == []
    assert again.transfers.departed() == [cluster.id]
    assert await again.transfers.clear(cluster.id) > 0
    assert again.transfers.departed() == []
    assert keys_of(engine, cluster.id) == []
    found = again.find_cluster("root:b")
    assert found is not None and found.id == neighbour.id and again.count(found, "configmaps") == 1
    assert violations(engine) == []
    await again.close()


async def test_the_types_of_a_range() -> None:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    puts = [put("a"), put("b"), put("c", group_resource="events"), put("d", group_resource="events.x.io")]
    cluster = await born(store, "root:a", puts)
    assert store.transfers._types(cluster.id) == ["configmaps", "events", "events.x.io"]
    assert store.transfers._types(cluster.id + 1) == []
    assert keyspace.departed_key(cluster.id) not in store._writer.meta
    await store.close()

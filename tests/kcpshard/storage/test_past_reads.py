"""What the history machine does not reach: long chains, and damage."""

import pytest

from kcpshard.storage import keyspace
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from tests.contracts.store_contract import START_US, born, durable
from tests.contracts.stored_objects import put, remove


class CountingEngine(MemoryEngine):
    scanned = 0

    def scan(
        self, family: str, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        found = super().scan(family, start, end, limit, reverse)
        self.scanned += len(found)
        return found


async def test_a_hot_object_is_jumped_over() -> None:
    engine = CountingEngine()
    store = Store(engine, 1, lambda: START_US)
    cluster = await born(store, "root", [put("a"), put("hot"), put("z")])
    revision = store.durable_revision
    for n in range(1000):
        store.commit(cluster, [put("hot", data=str(n))])
    await durable(store.commit(cluster, [remove("z")]).group)
    engine.scanned = 0
    page = store.scan(cluster, "configmaps", "", revision, None, 9)
    assert [item.name for item in page] == ["a", "hot", "z"]
    assert b'"value":""' in page[1].value
    assert engine.scanned < 150
    await store.close()


async def test_a_version_that_leads_nowhere_is_not_passed_over() -> None:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    cluster = await born(store, "root", [put("a")])
    await durable(store.commit(cluster, [put("a", data="2")]).group)
    batch = engine.batch()
    batch.delete(keyspace.LOG, keyspace.log_key(cluster.id, cluster.id, 0))
    engine.write(batch)
    with pytest.raises(RuntimeError, match="no log record"):
        store.get_at(cluster, "configmaps", "default", "a", cluster.id)
    await store.close()

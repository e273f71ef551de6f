import asyncio

import pytest

from kcpshard.storage.contract import ReadOnly
from kcpshard.storage.durability import durable
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from tests.contracts.store_contract import START_US, born
from tests.contracts.stored_objects import put


async def test_a_wait_ends_when_the_group_is_on_disk() -> None:
    store = Store(MemoryEngine(), 1, lambda: START_US)
    cluster = await born(store, "root", [put("a")])
    group = store.commit(cluster, [put("b")]).group
    assert not group.is_durable
    await durable(group)
    assert group.is_durable
    await durable(group)
    await store.close()


async def test_what_the_disk_refuses_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    cluster = await born(store, "root", [put("a")])

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(engine, "write", full)
    with pytest.raises(ReadOnly):
        await durable(store.commit(cluster, [put("b")]).group)
    monkeypatch.undo()
    await store.close()


async def test_a_wait_that_is_given_up_leaves_the_group_alone() -> None:
    store = Store(MemoryEngine(), 1, lambda: START_US)
    cluster = await born(store, "root", [put("a")])
    group = store.commit(cluster, [put("b")]).group
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(durable(group))
        await asyncio.sleep(0)
        waiting.cancel()
    await durable(group)
    await store.close()

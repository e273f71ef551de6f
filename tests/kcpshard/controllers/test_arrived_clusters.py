import asyncio
from typing import Any

from kcpshard.controllers.arrived_clusters import ArrivedClusters
from kcpshard.controllers.work_queue import Item, WorkQueue
from kcpshard.storage.contract import LogicalCluster
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from tests.contracts.moved_cluster import move
from tests.contracts.store_contract import START_US, born


class FakeRunner:
    """Finds one key in each logical cluster."""

    def __init__(self) -> None:
        self.queue, self.looked = WorkQueue(), list[str]()

    async def look_through(self, cluster: LogicalCluster) -> None:
        self.looked.append(cluster.path)
        self.queue.add(Item("c", cluster.id, ("k",)), cluster.created_revision)


async def test_what_came_is_looked_through_until_all_is_done_over_restarts_too() -> None:
    engine = MemoryEngine()
    source, store = Store(MemoryEngine(), 1, lambda: START_US), Store(engine, 2, lambda: START_US)
    await born(source, "root:a")
    moved = await move(source, store, "root:a")
    assert store.transfers.unsettled() == [moved.id]
    runner = FakeRunner()
    also: list[str] = []

    def arrived(store: Store) -> ArrivedClusters:
        made = ArrivedClusters(runner, _Definitions(also), store, store.transfers)  # type: ignore[arg-type]
        made.also.append(_Definitions(also).look_through)
        return made

    async with asyncio.TaskGroup() as tasks:
        running: asyncio.Task[Any] = tasks.create_task(arrived(store).run())
        await asyncio.sleep(0.05)
        running.cancel()
    assert runner.looked == ["root:a"] and also == ["root:a", "root:a"]
    assert store.transfers.unsettled() == [moved.id]  # its key has not been worked on
    again = Store(engine, 2, lambda: START_US)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(arrived(again).run())
        await asyncio.sleep(0.05)
        item = runner.queue.take()
        assert item is not None
        runner.queue.done(item)
        async with asyncio.timeout(60):
            while again.transfers.unsettled():
                await asyncio.sleep(0.05)
        running.cancel()
    assert runner.looked == ["root:a", "root:a"]
    await source.close()
    await store.close()
    await again.close()


class _Definitions:
    def __init__(self, looked: list[str]) -> None:
        self._looked = looked

    async def look_through(self, cluster: LogicalCluster) -> None:
        self._looked.append(cluster.path)

"""The end of logical clusters in the store: their paths at once, their keys a little later."""

import pytest

from kcpshard.settings import Settings
from kcpshard.storage import clearing, keyspace, range_removal
from kcpshard.storage.clusters import DELETING
from kcpshard.storage.contract import Compacted
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.verification import violations
from tests.contracts.stored_objects import put, remove

START_US = 1_800_000_000_000_000


class World:
    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.now_us = START_US
        self.store = Store(self.engine, 1, lambda: self.now_us, Settings())

    def keys_of(self, id_: int) -> list[tuple[str, bytes]]:
        raw = keyspace.number(id_)
        found = []
        for family in keyspace.FAMILIES:
            for key, value in self.engine.scan(family, b"", keyspace.END, 1_000_000):
                if raw in key or (family == keyspace.ORDER and value[:8] == raw):
                    found.append((family, key))
        return found


async def dead(world: World, path: str, objects: int = 3) -> int:
    cluster, _ = world.store.create_cluster(path, [put(f"c{n}") for n in range(objects)])
    world.store.commit(cluster, [put("c0", data="new")])
    await world.store._writer.drain()
    removals = [remove(f"c{n}") for n in range(objects)]
    world.store.remove_cluster(cluster, removals)
    assert cluster.state == DELETING
    await world.store._writer.drain()
    return cluster.id


async def test_the_path_is_free_at_once_and_the_keys_go_later() -> None:
    world = World()
    told: list[int] = []
    world.store.on_removal(lambda cluster: told.append(cluster.id))
    id_ = await dead(world, "root:a")
    assert told == [id_]
    assert world.store.pending_cluster("root:a") is None and world.store.cluster_by_id(id_) is None
    assert await world.store.clear(world.now_us) == 0
    assert world.keys_of(id_) and not violations(world.engine)
    again, _ = world.store.create_cluster("root:a", [put("c")])
    await world.store._writer.drain()
    world.now_us += clearing.SETTLE_US + 1
    assert await world.store.clear(world.now_us) == 1
    assert not world.keys_of(id_)
    assert not violations(world.engine)
    assert world.store.get(again, "configmaps", "default", "c") is not None


async def test_many_objects_go_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_removal, "_SLICE_S", 0.0)
    world = World()
    id_ = await dead(world, "root:a", 1_000)
    world.now_us += clearing.SETTLE_US + 1
    assert await world.store.clear(world.now_us) == 1
    assert not world.keys_of(id_)


async def test_objects_that_nobody_removed_go_too() -> None:
    world = World()
    cluster, _ = world.store.create_cluster("root:a", [put("c"), put("s", "x", "leases.coordination.k8s.io")])
    await world.store._writer.drain()
    world.store.remove_cluster(cluster, ())
    await world.store._writer.drain()
    world.now_us += clearing.SETTLE_US + 1
    await world.store.clear(world.now_us)
    assert not world.keys_of(cluster.id)
    assert list(world.store.clusters_with("configmaps")) == []
    assert not violations(world.engine)


async def test_a_restart_clears_what_was_dead() -> None:
    world = World()
    id_ = await dead(world, "root:a")
    world.now_us += clearing.SETTLE_US + 1
    world.store = Store(world.engine, 1, lambda: world.now_us, Settings())
    assert await world.store.clear(world.now_us) == 1
    assert not world.keys_of(id_)


async def test_whoever_resumes_over_the_gap_is_told() -> None:
    world = World()
    other, _ = world.store.create_cluster("root:b", [put("c")])
    await world.store._writer.drain()
    before = world.store.durable_revision
    await dead(world, "root:a")
    assert world.store.log_all(before, world.store.durable_revision, 100)
    world.now_us += clearing.SETTLE_US + 1
    await world.store.clear(world.now_us)
    with pytest.raises(Compacted):
        world.store.log_all(before, world.store.durable_revision, 100)
    assert world.store.log(other, before, world.store.durable_revision, 100) == []

import time

import pytest

from kcpshard import failpoints
from kcpshard.settings import Settings
from kcpshard.storage import compaction, keyspace
from kcpshard.storage.contract import Compacted, LogicalCluster
from kcpshard.storage.damage import Corrupted
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.verification import violations
from tests.contracts.store_contract import START_US, born, durable
from tests.contracts.stored_objects import put, remove

DAY_US = 86_400_000_000


def keys(engine: MemoryEngine, family: str) -> int:
    return len(engine.scan(family, b"", keyspace.END, 1 << 20))


async def test_nothing_is_left_of_a_past_that_nobody_can_read() -> None:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    cluster = await born(store, "root", [put("a"), put("gone")])
    for n in range(5):
        store.commit(cluster, [put("a", data=str(n))])
    await durable(store.commit(cluster, [remove("gone")]).group)
    assert (keys(engine, "log"), keys(engine, "versions"), keys(engine, "order")) == (8, 8, 7)
    assert await store.compact(START_US + 2 * DAY_US) == 8
    assert (keys(engine, "log"), keys(engine, "versions"), keys(engine, "order")) == (0, 0, 0)
    assert cluster.log_bytes == 0
    assert violations(engine) == []
    await store.close()


async def test_an_idle_shard_writes_nothing() -> None:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    await born(store)
    await store.compact(START_US + 2 * DAY_US)
    groups = store.statistics().groups
    await store.compact(START_US + 3 * DAY_US)
    await durable(store.put_meta({}))
    assert store.statistics().groups == groups + 1
    await store.close()


async def test_an_idle_cluster_stays_resumable() -> None:
    store = Store(MemoryEngine(), 1, lambda: START_US)
    busy, idle = await born(store, "busy"), await born(store, "idle")
    await store.compact(START_US + 2 * DAY_US)
    revision = store.durable_revision
    await durable(store.commit(busy, [put("a")]).group)
    await store.compact(START_US + 4 * DAY_US)
    assert idle.oldest_revision <= revision < busy.oldest_revision
    assert store.log(idle, revision, 1 << 62, 9) == []
    with pytest.raises(Compacted):
        store.log(busy, revision, 1 << 62, 9)
    await store.close()


async def test_a_refused_step_forgets_nothing() -> None:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    cluster = await born(store)
    await durable(store.commit(cluster, [put("a")]).group)
    failpoints.arm("writer.before_write", "full")
    assert await store.compact(START_US + 2 * DAY_US) == 0
    failpoints.disarm()
    assert cluster.oldest == [cluster.id - 1] * 3
    assert len(store.log(cluster, cluster.id - 1, 1 << 62, 9)) == 2
    assert violations(engine) == []
    await store.close()


async def test_marks_survive_a_restart() -> None:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    cluster = await born(store)
    await store.compact(START_US + 2 * DAY_US)
    lost = cluster.oldest_revision
    await store.close()
    store = Store(engine, 1, lambda: START_US + 2 * DAY_US)
    with pytest.raises(Compacted):
        store.log_all(lost - 1, 1 << 62, 9)
    again = store.find_cluster("root")
    assert again is not None and again.oldest_revision == lost
    await store.close()


async def test_a_cluster_over_its_bytes_is_found_after_a_restart() -> None:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    cluster = await born(store)
    for n in range(20):
        store.commit(cluster, [put("a", data="x" * 1000 + str(n))])
    await store.close()
    store = Store(engine, 1, lambda: START_US + 1_000_000, Settings(retained_bytes_per_cluster=5000))
    assert await store.compact(START_US + 1_000_000) > 0
    again = store.find_cluster("root")
    assert again is not None and again.log_bytes <= 5000
    assert violations(engine) == []
    await store.close()


async def test_a_long_backlog_goes_in_short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the steps is virtual: each look at it is a tenth of a millisecond."""
    ticks = iter(range(1 << 30))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 10_000)
    store = Store(MemoryEngine(), 1, lambda: START_US)
    cluster = await born(store)
    for _ in range(200):
        store.commit(cluster, [put("a")])
    await durable(store.put_meta({}))
    steps: list[int] = []
    store.on_compaction(lambda _: steps.append(store.statistics().compacted_records))
    await store.compact(START_US + 2 * DAY_US)
    assert len(steps) >= 200 // 21
    assert max(b - a for a, b in zip([0, *steps], steps, strict=False)) <= 21
    await store.close()


async def test_a_step_that_meets_damage_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_SLICE_S", 60.0)  # one step, however busy the machine is
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    cluster = await born(store, "root", [put("a"), put("b")])
    for n in range(5):
        await durable(store.commit(cluster, [put("a", data=str(n))]).group)
    third = await rewritten(store, cluster)
    before = {family: engine.scan(family, b"", keyspace.END, 1 << 20) for family in keyspace.FAMILIES}
    sound = engine.get

    def damaged(family: str, key: bytes) -> bytes | None:
        if family == keyspace.VERSIONS and key.endswith(third.to_bytes(8, "big")):
            raise Corrupted("Corruption: block checksum mismatch")
        return sound(family, key)

    monkeypatch.setattr(engine, "get", damaged)
    pending = store.commit(cluster, [put("c")])  # gathered in the same turn: it must not go with the step
    with pytest.raises(Corrupted):
        await store.compact(START_US + 2 * DAY_US)
    await durable(pending.group)
    monkeypatch.undo()
    for family in (keyspace.LOG, keyspace.VERSIONS, keyspace.ORDER):
        assert not [row for row in before[family] if engine.get(family, row[0]) != row[1]]
    assert violations(engine) == []
    assert await store.compact(START_US + 2 * DAY_US) > 0
    assert violations(engine) == []
    await store.close()


async def rewritten(store: Store, cluster: LogicalCluster) -> int:
    """Commits twice; the revision of the first."""
    pending = store.commit(cluster, [put("a", data="third")])
    await durable(pending.group)
    await durable(store.commit(cluster, [put("a", data="last")]).group)
    return pending.revision

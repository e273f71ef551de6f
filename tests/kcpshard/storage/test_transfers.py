import random
from collections.abc import AsyncIterator

import pytest

from kcpshard.settings import Settings
from kcpshard.storage.contract import LogicalCluster, Put, Remove
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.storage.template import Template
from kcpshard.storage.verification import violations
from tests.contracts import moved_cluster
from tests.contracts.moved_cluster import Gone, begin_copy, copy_objects, copy_records, hand_over, keys_of, move
from tests.contracts.store_contract import START_US, Time, born, durable
from tests.contracts.stored_objects import put, remove

TYPES = ("configmaps", "events", "leases.coordination.k8s.io")
DAY_US = 86_400_000_000


class Pair:
    """Two shards' stores."""

    def __init__(self) -> None:
        self.now = Time()
        self.engines = (MemoryEngine(), MemoryEngine())
        self.source, self.target = (
            Store(engine, n + 1, self.now, template=Template([])) for n, engine in enumerate(self.engines)
        )

    async def close(self) -> None:
        await self.source.close()
        await self.target.close()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    yield made
    await made.close()


def writes(chance: random.Random, known: set[tuple[str, str]]) -> list[Put | Remove]:
    found: list[Put | Remove] = []
    for group_resource, name in {(chance.choice(TYPES), f"o{chance.randrange(25)}") for _ in range(3)}:
        if (group_resource, name) in known and chance.random() < 0.4:
            known.discard((group_resource, name))
            found.append(remove(name, group_resource=group_resource))
        else:
            known.add((group_resource, name))
            labels = {"n": str(chance.randrange(3))}
            found.append(put(name, group_resource=group_resource, data=str(chance.random()), labels=labels))
    return found


def everything(store: Store, cluster: LogicalCluster, revision: int = 0) -> dict[tuple[str, str], bytes]:
    found = {}
    for retention, group_resource in enumerate(TYPES):
        for item in store.scan(cluster, group_resource, "", revision, None, 1000, retention):
            found[group_resource, item.name] = item.value
    return found


def past(store: Store, cluster: LogicalCluster) -> list[object]:
    return [
        commit for retention in range(3)
        for commit in store.log(cluster, cluster.oldest[retention], 1 << 62, 10_000, "", retention)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
async def test_a_copy_made_among_writes_is_exact(pair: Pair, seed: int) -> None:
    chance = random.Random(seed)
    known: set[tuple[str, str]] = set()
    cluster = await born(pair.source, "root:a", [put("first")])
    known.add(("configmaps", "first"))

    async def write() -> None:
        for _ in range(chance.randrange(5)):
            pair.now.us += chance.randrange(1_000_000)
            group = pair.source.commit(cluster, writes(chance, known), author="alice").group
            if chance.random() < 0.5:
                await durable(group)

    for _ in range(10):
        await write()
    if seed % 3 == 0:
        await pair.source.compact(pair.now.us + 400_000_000)  # leases are past their retention
    arrival = await begin_copy(pair.source, pair.target, cluster)
    await write()
    await copy_objects(pair.source, arrival, cluster, write)
    while await copy_records(pair.source, arrival, cluster) and chance.random() < 0.8:
        await write()
    moved = await hand_over(pair.source, pair.target, arrival, cluster)

    newest = pair.source.durable_revision
    assert everything(pair.target, moved) == everything(pair.source, cluster)
    assert past(pair.target, moved) == past(pair.source, cluster)
    for revision in (newest - 3_000_000, max(cluster.oldest)):
        if revision >= max(cluster.oldest):
            assert everything(pair.target, moved, revision) == everything(pair.source, cluster, revision)
    assert (moved.objects, moved.stored_bytes, moved.log_bytes) == (
        cluster.objects, cluster.stored_bytes, cluster.log_bytes,
    )  # fmt: skip
    assert [pair.target.count(moved, t) for t in TYPES] == [pair.source.count(cluster, t) for t in TYPES]
    assert violations(pair.engines[1]) == []
    await moved_cluster.forget(pair.source, cluster)
    assert keys_of(pair.engines[0], cluster.id) == []
    assert violations(pair.engines[0]) == []


async def test_revisions_go_on_above_all_that_was_told(pair: Pair) -> None:
    await born(pair.source, "root:a")
    other = await born(pair.source, "root:b")
    for n in range(5):  # the source's clock is ahead of its wall clock
        await durable(pair.source.commit(other, [put(f"o{n}")]).group)
    told = pair.source.durable_revision
    moved = await move(pair.source, pair.target, "root:a")
    assert pair.target.durable_revision > told
    assert pair.target.commit(moved, [put("next")]).revision > told


async def test_nothing_is_written_behind_the_fence(pair: Pair) -> None:
    cluster = await born(pair.source, "root:a")
    await move(pair.source, pair.target, "root:a")
    with pytest.raises(Gone):
        pair.source.commit(cluster, [put("late")])
    with pytest.raises(Gone):
        pair.source.set_cluster_state(cluster, "Deleting")


async def test_a_request_that_was_answered_is_known_at_the_new_shard(pair: Pair) -> None:
    cluster = await born(pair.source, "root:a")
    first = pair.source.commit(cluster, [put("a")], b"0123456789abcdef", 201, "alice")
    await durable(first.group)
    moved = await move(pair.source, pair.target, "root:a")
    found = pair.target.recorded(moved, b"0123456789abcdef", START_US)
    assert found is not None and (found.code, found.revision) == (201, first.revision)


async def test_it_may_come_back(pair: Pair) -> None:
    cluster = await born(pair.source, "root:a", [put("a")])
    moved = await move(pair.source, pair.target, "root:a")
    await durable(pair.target.commit(moved, [put("b")]).group)
    await moved_cluster.forget(pair.source, cluster)
    back = await move(pair.target, pair.source, "root:a")
    await moved_cluster.forget(pair.target, moved)
    assert {name for _, name in everything(pair.source, back)} == {"a", "b"}
    assert pair.source.find_cluster("root:a") is back
    assert pair.target.find_cluster("root:a") is None
    await durable(pair.source.commit(back, [put("c")]).group)
    assert violations(pair.engines[0]) == violations(pair.engines[1]) == []


async def test_compaction_leaves_alone_what_is_copied_and_makes_up_for_it(pair: Pair) -> None:
    cluster = await born(pair.source, "root:a", [put("a")])
    await durable(pair.source.commit(cluster, [put("a", data="2")]).group)
    pair.source.transfers.spare(cluster.id)
    pair.now.us += 3 * DAY_US
    assert await pair.source.compact(pair.now.us) == 0
    pair.source.transfers.expose(cluster.id)
    assert await pair.source.compact(pair.now.us) == 2
    assert violations(pair.engines[0]) == []


async def test_what_came_is_compacted_in_its_time(pair: Pair) -> None:
    cluster = await born(pair.source, "root:a", [put("a")])
    await durable(pair.source.commit(cluster, [put("a", data="2")]).group)
    other = await born(pair.target, "root:b")
    pair.now.us += 2 * DAY_US
    await durable(pair.target.commit(other, [put("b")]).group)
    await pair.target.compact(pair.now.us)  # has passed the time from which the others come
    moved = await move(pair.source, pair.target, "root:a")
    assert len(past(pair.target, moved)) == 2
    await pair.target.compact(pair.now.us)
    assert past(pair.target, moved) == []
    assert violations(pair.engines[1]) == []


async def test_a_copy_in_the_making_is_nobodys(pair: Pair) -> None:
    cluster = await born(pair.source, "root:a", [put("a")])
    arrival = await begin_copy(pair.source, pair.target, cluster)
    await copy_objects(pair.source, arrival, cluster)
    await copy_records(pair.source, arrival, cluster)
    target = pair.target
    assert target.find_cluster("root:a") is None
    assert list(target.clusters()) == [] and list(target.clusters_with("configmaps")) == []
    assert target.log_all(0, 1 << 62, 100) == []
    assert violations(pair.engines[1]) == []
    await durable(target.transfers.abandon(cluster.id))
    await target.transfers.clear(cluster.id)
    assert keys_of(pair.engines[1], cluster.id) == []


async def test_a_copy_goes_on_after_a_restart(pair: Pair) -> None:
    cluster = await born(pair.source, "root:a", [put(f"o{n}") for n in range(600)])
    arrival = await begin_copy(pair.source, pair.target, cluster)
    page = pair.source.transfers.objects(cluster, b"")
    await durable(arrival.take_objects(page.pairs, page.is_last))
    target = Store(pair.engines[1], 2, pair.now)
    (progress,) = target.transfers.arrivals()
    assert progress == arrival.progress and not progress.has_objects
    resumed = target.transfers.resume(progress)
    await copy_objects(pair.source, resumed, cluster)
    moved = await hand_over(pair.source, target, resumed, cluster)
    assert len(everything(target, moved)) == 600
    assert violations(pair.engines[1]) == []
    await target.close()


async def test_wildcard_readers_find_each_commit_at_one_shard(pair: Pair) -> None:
    cluster = await born(pair.source, "root:a", [put("a")])
    await durable(pair.source.commit(cluster, [put("b")]).group)
    before = pair.source.log_all(0, 1 << 62, 100)
    await move(pair.source, pair.target, "root:a")
    await durable(pair.source.transfers.depart(cluster))
    assert pair.source.log_all(0, 1 << 62, 100) == []
    assert pair.target.log_all(0, 1 << 62, 100) == before


async def test_on_rocksdb(tmp_path: object) -> None:
    now = Time()
    engines = [RocksdbEngine(f"{tmp_path}/{n}", Settings()) for n in (1, 2)]
    source, target = (Store(engine, n + 1, now) for n, engine in enumerate(engines))
    cluster = await born(source, "root:a", [put(f"o{n}", data="x" * 900) for n in range(700)])
    moved = await move(source, target, "root:a")
    assert everything(target, moved) == everything(source, cluster)
    await moved_cluster.forget(source, cluster)
    assert [violations(engine) for engine in engines] == [[], []]
    assert keys_of(engines[0], cluster.id) == []
    await source.close()
    await target.close()


async def test_one_that_departs_is_listed_no_more_while_that_is_being_written(pair: Pair) -> None:
    for path in ("root:a", "root:b"):
        await born(pair.source, path)
    cluster = pair.source.find_cluster("root:a")
    assert cluster is not None
    group = pair.source.transfers.depart(cluster)
    del cluster
    assert [each.path for each in pair.source.clusters()] == ["root:b"], "what is gathered is not in the engine yet"
    await durable(group)
    assert [each.path for each in pair.source.clusters()] == ["root:b"]

"""What lies under a logical cluster's own objects, by itself and through a store."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
import pytest

from kcpshard.api.events import Commit, EventType
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable, Put, Remove
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.template import Template
from kcpshard.storage.verification import violations
from tests.contracts.stored_objects import put

TYPE = "configmaps"


class Source(NamedTuple):
    group_resource: str
    namespace: str
    name: str
    document: dict[str, Any]


def source(name: str, namespace: str = "") -> Source:
    meta = {"name": name, "labels": {"from": "template"}, "annotations": {"a": "b"}}
    if namespace:
        meta["namespace"] = namespace
    return Source(TYPE, namespace, name, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {}})


class Rig:
    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.now = 1_700_000_000_000_000
        self.store = self.opened()
        self.seen: list[Commit] = []
        self.store.on_commit(self.seen.extend)

    def opened(self) -> Store:
        return Store(
            self.engine, 1, self.clock, template=Template([source("b"), source("c"), source("d"), source("n", "x")])
        )

    def clock(self) -> int:
        self.now += 1000
        return self.now

    async def bear(self, path: str = "root") -> LogicalCluster:
        cluster, pending = self.store.create_cluster(path, [put("a", namespace="", group_resource=TYPE)])
        await self.durable(pending.group)
        return cluster

    async def durable(self, group: Any) -> None:
        done = asyncio.get_running_loop().create_future()
        group.when_durable(lambda: done.set_result(None))
        await done

    async def commit(self, cluster: LogicalCluster, write: Put | Remove) -> int:
        pending = self.store.commit(cluster, [write])
        await self.durable(pending.group)
        return pending.revision

    def names(self, cluster: LogicalCluster, revision: int = 0, namespace: str = "") -> list[str]:
        return [item.name for item in self.store.scan(cluster, TYPE, namespace, revision, None, 100)]

    def removal(self, cluster: LogicalCluster, name: str) -> Remove:
        value = self.store.pending(cluster, TYPE, "", name)
        assert value is not None
        return Remove(TYPE, "", name, envelope.body_at(value, 0), envelope.hole(value))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    found = Rig()
    yield found
    assert violations(found.engine) == []
    await found.store.close()


async def test_it_is_shown_without_being_stored(rig: Rig) -> None:
    cluster = await rig.bear()
    assert rig.names(cluster) == ["a", "b", "c", "d", "n"]
    assert rig.names(cluster, namespace="x") == ["n"]
    assert rig.store.count(cluster, TYPE) == 5
    assert [item.name for item in rig.store.scan_own(cluster, TYPE, None, 10)] == ["a"]
    value = rig.store.get(cluster, TYPE, "", "b")
    assert value is not None and envelope.faults(value) == []
    meta = orjson.loads(envelope.body(value))["metadata"]
    assert meta["resourceVersion"] == str(cluster.created_revision)
    assert meta["creationTimestamp"].startswith("2023-11-14T") and meta["uid"] == envelope.uid(value)
    assert envelope.labels(value) == {"from": "template"}


async def test_what_differs_between_logical_clusters_is_stable_within_one(rig: Rig) -> None:
    first, second = await rig.bear(), await rig.bear("other")
    values = [rig.store.get(cluster, TYPE, "", "b") for cluster in (first, second, first)]
    assert values[0] == values[2] != values[1]


async def test_a_write_over_it_is_a_change_and_hides_it(rig: Rig) -> None:
    cluster = await rig.bear()
    old = rig.store.get(cluster, TYPE, "", "b")
    revision = await rig.commit(cluster, put("b", namespace="", group_resource=TYPE))
    change = rig.seen[-1].changes[0]
    assert (change.type, change.previous) == (EventType.MODIFIED, old)
    assert rig.names(cluster) == ["a", "b", "c", "d", "n"] and rig.store.count(cluster, TYPE) == 5
    assert rig.store.get(cluster, TYPE, "", "b") != old
    assert rig.store.get_at(cluster, TYPE, "", "b", revision - 1) == old
    replayed = rig.store.log(cluster, revision - 1, revision, 10)[0].changes[0]
    assert replayed.type is EventType.MODIFIED and replayed.previous is not None


@pytest.mark.parametrize("over", [False, True])
async def test_a_deletion_is_for_good(rig: Rig, over: bool) -> None:
    cluster = await rig.bear()
    if over:
        await rig.commit(cluster, put("b", namespace="", group_resource=TYPE))
    revision = await rig.commit(cluster, rig.removal(cluster, "b"))
    assert rig.seen[-1].changes[0].type is EventType.DELETED
    assert rig.store.get(cluster, TYPE, "", "b") is None and rig.store.is_removed(cluster, TYPE, "", "b")
    assert rig.names(cluster) == ["a", "c", "d", "n"] and rig.store.count(cluster, TYPE) == 4
    assert rig.names(cluster, revision - 1) == ["a", "b", "c", "d", "n"]
    assert rig.store.get_at(cluster, TYPE, "", "b", revision - 1) is not None
    again = await rig.commit(cluster, put("b", namespace="", group_resource=TYPE))
    assert rig.seen[-1].changes[0].type is EventType.ADDED
    await rig.commit(cluster, rig.removal(cluster, "b"))
    assert rig.names(cluster, again - 1) == ["a", "c", "d", "n"]
    rig.store = rig.opened()
    found = rig.store.find_cluster("root")
    assert found is not None and rig.store.get(found, TYPE, "", "b") is None


async def test_pages(rig: Rig) -> None:
    cluster = await rig.bear()
    await rig.commit(cluster, rig.removal(cluster, "c"))
    found: list[str] = []
    after: tuple[str, str] | None = None
    while items := rig.store.scan(cluster, TYPE, "", 0, after, 2):
        found += [item.name for item in items]
        after = (items[-1].namespace, items[-1].name)
    assert found == ["a", "b", "d", "n"]


async def test_readers_do_not_see_what_is_not_durable(rig: Rig) -> None:
    cluster = await rig.bear()
    pending = rig.store.commit(cluster, [rig.removal(cluster, "b")])
    with pytest.raises(NotDurable):
        rig.store.get(cluster, TYPE, "", "b")
    assert rig.store.pending(cluster, TYPE, "", "b") is None
    assert "b" in rig.names(cluster, rig.store.durable_revision)
    await rig.durable(pending.group)


async def test_what_is_shown_from_birth_on(rig: Rig) -> None:
    cluster = await rig.bear()
    found = rig.store.shown_at_birth(cluster.id, TYPE)
    assert [(change.name, change.revision) for change in found] == [(n, cluster.id) for n in ("b", "c", "d", "n")]
    assert found[0].value == rig.store.get(cluster, TYPE, "", "b")
    assert not rig.store.shown_at_birth(cluster.id, "secrets")

import asyncio
from collections.abc import AsyncIterator

import pytest

from kcpshard.storage import wildcard_reads
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.wildcard_reads import Deletions, Position
from tests.contracts.api_client import Clock
from tests.contracts.stored_objects import put, remove


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    found = Store(MemoryEngine(), 1, Clock())
    for path in ("a", "b", "c"):
        found.create_cluster(path, [put(f"{path}{n}") for n in range(3)])
    await durable(found)
    yield found
    await found.close()


async def durable(store: Store) -> None:
    async with asyncio.timeout(60):
        while store.durable_revision < store.pending_revision:
            await asyncio.sleep(0)


def read(store: Store, revision: int = 0, after: Position | None = None, limit: int = 2, sees: str = "abcd") -> str:
    """Names in order, a bar between logical clusters, read in slices of `limit`."""
    scan = store.scan_all(
        "configmaps", "", revision or store.durable_revision, 0, after, lambda _id, path: path if path in sees else None
    )
    found: dict[str, list[str]] = {}
    while not scan.is_done:
        slice_ = scan.next_slice(limit)
        assert sum(len(each.items) for each in slice_) <= limit
        for each in slice_:
            found.setdefault(each.path, []).extend(item.name for item in each.items)
    return "|".join(" ".join(names) for names in found.values())


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
async def test_every_logical_cluster_once_in_the_order_of_ids(store: Store, limit: int) -> None:
    assert read(store, limit=limit) == "a0 a1 a2|b0 b1 b2|c0 c1 c2"
    assert read(store, limit=limit, sees="ac") == "a0 a1 a2|c0 c1 c2"


async def test_it_goes_on_after_a_place(store: Store) -> None:
    cluster = store.find_cluster("b")
    assert cluster is not None
    assert read(store, after=Position(cluster.id, "default", "b0")) == "b1 b2|c0 c1 c2"
    assert read(store, after=Position(cluster.id, "", "")) == "c0 c1 c2"


async def test_what_was_there_at_a_revision_whatever_came_later(store: Store) -> None:
    before = store.durable_revision
    a, b = store.find_cluster("a"), store.find_cluster("b")
    assert a is not None and b is not None
    store.commit(a, [remove(f"a{n}") for n in range(3)])
    store.commit(b, [put("b00"), put("b1", data="newer")])
    store.create_cluster("d", [put("d0")])
    await durable(store)
    assert read(store, before) == "a0 a1 a2|b0 b1 b2|c0 c1 c2"
    assert read(store) == "b0 b00 b1 b2|c0 c1 c2|d0"


async def test_a_restart_forgets_who_was_emptied_and_looks_at_all(store: Store) -> None:
    before = store.durable_revision
    a = store.find_cluster("a")
    assert a is not None
    store.commit(a, [remove(f"a{n}") for n in range(3)])
    await durable(store)
    again = Store(store._engine, 1, Clock())  # type: ignore[arg-type]
    assert read(again, before) == "a0 a1 a2|b0 b1 b2|c0 c1 c2"
    assert read(again) == "b0 b1 b2|c0 c1 c2"


def test_deletions_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wildcard_reads, "_MAX_EMPTIED", 3)
    found = Deletions(since=10)
    assert found.emptied_after("configmaps", 9) is None
    assert found.emptied_after("configmaps", 10) == []
    for cluster_id, revision in ((7, 20), (5, 30), (9, 40)):
        found.emptied("configmaps", cluster_id, revision)
    assert found.emptied_after("configmaps", 20) == [5, 9]
    found.emptied("configmaps", 1, 50)
    assert found.emptied_after("configmaps", 40) is None
    assert found.emptied_after("configmaps", 50) == []


def test_the_newest_deletion_of_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wildcard_reads, "_MAX_TYPES", 2)
    found = Deletions(since=10)
    assert found.any_after("secrets", 9) and not found.any_after("secrets", 10)
    for number, name in enumerate(("configmaps", "secrets", "pods")):
        found.deleted(name, 20 + number)
    assert found.any_after("pods", 21) and not found.any_after("pods", 22)
    assert found.any_after("secrets", 20), "what has been forgotten counts as deleted"

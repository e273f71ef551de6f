import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from kcpshard.placement.shard_map import KEEPER_CLUSTER, initial_map, new_entry, with_entry, with_moved_slots
from kcpshard.placement.shard_objects import GROUP_RESOURCE, ShardObjects
from kcpshard.storage.envelope import body
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store

NOW_US = 1_700_000_000_000_000


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    found = Store(MemoryEngine(), 1, lambda: NOW_US)
    yield found
    await found.close()


def read(store: Store, name: str) -> dict[str, dict[str, object]]:
    cluster = store.pending_cluster(KEEPER_CLUSTER)
    assert cluster is not None
    value = store.pending(cluster, GROUP_RESOURCE, "", name)
    assert value is not None
    found: dict[str, dict[str, object]] = orjson.loads(body(value))
    return found


async def test_each_shard_is_an_object(store: Store) -> None:
    ShardObjects(store, lambda: NOW_US).write(initial_map(2))
    found = read(store, "shard-2")
    assert (found["apiVersion"], found["kind"]) == ("core.kcp.io/v1alpha1", "Shard")
    assert found["spec"] == {"weight": 1, "cordoned": False, "draining": False}
    assert found["status"]["slots"] == 8192
    assert found["metadata"]["resourceVersion"] != "0" * 19


async def test_only_what_changed_is_written_and_identity_stays(store: Store) -> None:
    objects = ShardObjects(store, lambda: NOW_US)
    first = with_entry(initial_map(1), new_entry(2))
    objects.write(first)
    before, revision = read(store, "shard-1"), store.pending_revision
    objects.write(first)
    assert store.pending_revision == revision
    objects.write(with_moved_slots(first, range(100), 2, {}))
    after = read(store, "shard-1")
    assert after["status"]["slots"] == 16284
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]


async def test_the_store_counts_what_was_written(store: Store) -> None:
    ShardObjects(store, lambda: NOW_US).write(initial_map(2))
    done = asyncio.Event()
    store.put_meta({b"x": b"y"}).when_durable(done.set)
    await done.wait()
    clusters, objects = await store.census()
    assert (clusters, objects) == (1, 2 + 3), "two shards, three namespaces"

import pytest

from kcpshard.storage import keyspace
from kcpshard.storage.contract import Compacted, Put, Remove
from kcpshard.storage.envelope import encode_object
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.restored import begin_anew
from kcpshard.storage.verification import violations


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        self.now += 10
        return self.now


def put(name: str, retention: int = 0) -> Put:
    json, hole, annotations = encode_object({"apiVersion": "v1", "kind": "X", "metadata": {"name": name}})
    return Put("xs", "n", name, json, hole, annotations, name, "v1", {}, {}, retention=retention)


async def test_nothing_from_before_can_be_resumed() -> None:
    engine, clock = MemoryEngine(), Clock()
    store = Store(engine, 3, clock)
    cluster, _ = store.create_cluster("a", [put("one"), put("two", 1), put("three", 2)])
    idle, _ = store.create_cluster("idle", [put("one")])
    for _ in range(3):
        store.commit(cluster, [put("one"), put("two", 1)])
    gone = put("three", 2)
    newest = store.commit(cluster, [Remove("xs", "n", "three", gone.json, gone.hole, 2)]).revision
    await store.close()
    objects = engine.scan(keyspace.OBJECTS, b"", keyspace.END, 100)
    oldest = await begin_anew(engine, 3, clock)
    assert oldest > newest and violations(engine) == []
    assert engine.scan(keyspace.OBJECTS, b"", keyspace.END, 100) == objects
    assert engine.scan(keyspace.LOG, b"", keyspace.END, 100) == []
    again = Store(engine, 3, clock)
    for path in ("a", "idle"):
        found = again.find_cluster(path)
        assert found is not None
        for retention in range(3):
            with pytest.raises(Compacted):
                again.log(found, oldest - 1, oldest, 10, retention=retention)
            assert again.log(found, oldest, oldest + 1, 10, retention=retention) == []
    with pytest.raises(Compacted):
        again.log_all(newest, newest + 1, 10)
    found = again.find_cluster("a")
    assert found is not None and idle.id != cluster.id
    assert again.commit(found, [put("one")]).revision > oldest
    await again.close()


async def test_a_clock_behind_does_not_matter() -> None:
    engine, clock = MemoryEngine(), Clock()
    store = Store(engine, 1, clock)
    _, pending = store.create_cluster("a", [put("one")])
    await store.close()
    behind = Clock()
    behind.now -= 3600 * 1_000_000
    assert await begin_anew(engine, 1, behind) >= pending.revision
    assert violations(engine) == [] and engine.scan(keyspace.LOG, b"", keyspace.END, 100) == []

"""What is this implementation's own; the behaviour is in tests/contracts/store_contract.py."""

import sys
from types import FrameType
from typing import Any

from kcpshard import failpoints
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from tests.contracts.store_contract import START_US, born, durable
from tests.contracts.stored_objects import put


def python_calls(call: Any) -> int:
    count = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count - 1  # the call that is given


async def test_a_get_is_at_most_three_python_calls() -> None:
    store = Store(MemoryEngine(), 1, lambda: START_US)
    await born(store)

    def get() -> None:
        cluster = store.find_cluster("root")
        assert cluster is not None
        assert store.get(cluster, "configmaps", "default", "first") is not None

    assert python_calls(get) <= 3
    await store.close()


async def test_statistics_tell_what_waits() -> None:
    store = Store(MemoryEngine(), 1, lambda: START_US)
    cluster = await born(store)
    pending = store.commit(cluster, [put("a")])
    found = store.statistics()
    assert (found.pending_objects, found.pending_revision) == (1, pending.revision)
    assert found.durable_revision < pending.revision
    await durable(pending.group)
    found = store.statistics()
    assert (found.pending_objects, found.durable_revision, found.commits) == (0, pending.revision, 2)
    await store.close()


async def test_a_step_back_of_the_clock_leaves_the_time_in_the_record() -> None:
    now = [START_US]
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: now[0])
    cluster = await born(store)
    now[0] -= 300_000
    pending = store.commit(cluster, [put("a")])
    await durable(pending.group)
    raw = engine.get("log", cluster.prefix + pending.revision.to_bytes(8, "big") + b"\0\0") or b""
    assert int.from_bytes(raw[12:20], "big") == now[0]
    await store.close()


async def test_a_disk_that_takes_nothing_at_start_shows_what_it_holds() -> None:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US)
    await born(store)
    revision = store.durable_revision
    await store.close()

    def refuse(_batch: Any) -> None:
        raise OSError(28, "No space left on device")

    engine.write = refuse  # type: ignore[method-assign]
    store = Store(engine, 1, lambda: START_US + 60_000_000)
    assert store.durable_revision == revision
    cluster = store.find_cluster("root")
    assert cluster is not None and store.get(cluster, "configmaps", "default", "first") is not None
    await store.close()
    failpoints.disarm()

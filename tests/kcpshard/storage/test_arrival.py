import orjson
import pytest

from kcpshard.storage import envelope
from kcpshard.storage.arrival import Inexact, Progress, decode_progress
from kcpshard.storage.contract import Put
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.verification import violations
from tests.contracts.moved_cluster import begin_copy, copy_objects, copy_records, hand_over
from tests.contracts.store_contract import START_US, born, durable
from tests.contracts.stored_objects import put, remove


def owned(name: str, *uids: str) -> Put:
    """A ConfigMap with owners."""
    made = put(name)
    document = orjson.loads(made.json)
    document["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Thing", "name": uid, "uid": uid} for uid in uids
    ]
    json, hole, annotations = envelope.encode_object(document)
    return made._replace(json=json, hole=hole, annotations=annotations)


def test_progress_survives_its_encoding() -> None:
    progress = Progress("root:a", 5, 7, 1, 100, (4, 4, 9), "6162", True, "00", 10, 2, 33, True, {"configmaps": 2})
    assert decode_progress(progress.encode()) == progress


async def test_who_owns_what_follows_from_the_copy() -> None:
    engine = MemoryEngine()
    source, target = Store(MemoryEngine(), 1, lambda: START_US), Store(engine, 2, lambda: START_US)
    cluster = await born(source, "root:a", [owned("kept", "u1"), owned("changed", "u1"), owned("gone", "u2")])
    arrival = await begin_copy(source, target, cluster)
    await copy_objects(source, arrival, cluster)
    source.commit(cluster, [owned("changed", "u2", "u3")])
    source.commit(cluster, [remove("gone"), owned("new", "u1")])
    await copy_records(source, arrival, cluster)
    moved = await hand_over(source, target, arrival, cluster)
    found = {uid: [d.name for d in target.dependents(moved, uid, None, 9)] for uid in ("u1", "u2", "u3")}
    assert found == {"u1": ["kept", "new"], "u2": ["changed"], "u3": ["changed"]}
    assert violations(engine) == []
    await source.close()
    await target.close()


async def test_a_copy_that_lacks_something_is_refused() -> None:
    source, target = Store(MemoryEngine(), 1, lambda: START_US), Store(MemoryEngine(), 2, lambda: START_US)
    cluster = await born(source, "root:a", [put("a")])
    arrival = await begin_copy(source, target, cluster)
    await copy_objects(source, arrival, cluster)
    await durable(source.commit(cluster, [put("b")]).group)
    with pytest.raises(Inexact):
        arrival.check(source.transfers.summary(cluster))
    await copy_records(source, arrival, cluster)
    arrival.check(source.transfers.summary(cluster))
    await source.close()
    await target.close()

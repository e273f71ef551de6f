import pickle
from typing import Any

import pytest

from kcpshard.offload.messages import ClusterFacts
from kcpshard.offload.replica import NotServed, ReplicaStore, write_job

FACTS = ClusterFacts("root", 7, b"\0" * 8, 7, 7, "Active")


def asking(found: dict[str, Any]) -> ReplicaStore:
    def ask(raw: bytes) -> bytes:
        method, arguments = pickle.loads(raw)
        return pickle.dumps(found[method](*arguments))

    return ReplicaStore(ask, FACTS)


def test_reads_are_questions() -> None:
    store = asking({"get": lambda *a: b"/".join(x.encode() for x in a), "durable_revision": lambda: 5})
    assert store.get(store.cluster, "configmaps", "n", "a") == b"configmaps/n/a"
    assert store.durable_revision == 5


def test_what_a_worker_does_not_have_is_told() -> None:
    store = asking({})
    with pytest.raises(NotServed):
        store.put_meta({})
    with pytest.raises(NotServed):
        store.find_cluster("another")


def test_only_one_commit_can_be_proposed() -> None:
    store = asking({})
    store.commit(store.cluster, ())
    with pytest.raises(NotServed):
        store.commit(store.cluster, ())


def test_write_job_is_a_function_of_bytes() -> None:
    assert write_job.__annotations__["return"] is bytes

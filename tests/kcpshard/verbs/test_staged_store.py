import pytest

from kcpshard.api.resource_versions import DIGITS
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, Put, Remove
from kcpshard.storage.object_store import Store
from kcpshard.verbs.births import namespace_puts
from kcpshard.verbs.namespace_contents import NamespaceContents
from kcpshard.verbs.staged_store import FUTURE_REVISION, FUTURE_TEXT, StagedStore
from tests.contracts.api_client import memory_shard


@pytest.fixture
async def beneath() -> Store:
    store = memory_shard().store
    assert isinstance(store, Store)
    return store


def put(name: str, group_resource: str = "configmaps") -> Put:
    document = {"apiVersion": "v1", "kind": "X", "metadata": {"name": name, "namespace": "default"}}
    json, hole, annotations = envelope.encode_object(document)
    return Put(group_resource, "default", name, json, hole, annotations, f"uid-{name}", "v1", {}, {})


def remove(name: str) -> Remove:
    written = put(name)
    return Remove("configmaps", "default", name, written.json, written.hole)


def born(store: Store) -> LogicalCluster:
    cluster, _ = store.create_cluster("a", namespace_puts("default", 1, NamespaceContents()))
    store.commit(cluster, [put("old")])
    return cluster


def test_the_future_revision_fits_where_a_real_one_will_stand() -> None:
    assert len(FUTURE_TEXT) == DIGITS
    assert FUTURE_REVISION < 1 << 63


async def test_what_is_gathered_is_seen_above_and_not_beneath(beneath: Store) -> None:
    cluster = born(beneath)
    staged = StagedStore(beneath, cluster)
    staged.commit(cluster, [put("new"), remove("old")])
    place = ("configmaps", "default")
    assert staged.pending(cluster, *place, "new") and beneath.pending(cluster, *place, "new") is None
    assert staged.pending(cluster, *place, "old") is None and beneath.pending(cluster, *place, "old")
    assert staged.pending_own(cluster, *place, "old") is None and staged.get(cluster, *place, "old") is None
    assert [item.name for item in staged.scan_own(cluster, "configmaps", None, 10)] == ["new"]
    assert staged.scan_own(cluster, "configmaps", ("default", "new"), 10) == []
    assert len(staged.scan_pending(cluster, *place, 10)) == 1
    assert staged.count(cluster, "configmaps") == beneath.count(cluster, "configmaps")


async def test_types_that_nobody_wrote_are_read_beneath(beneath: Store) -> None:
    cluster = born(beneath)
    staged = StagedStore(beneath, cluster)
    assert staged.scan_pending(cluster, "configmaps", "default", 10)
    assert staged.pending(cluster, "configmaps", "default", "old")
    assert staged.durable_revision == beneath.durable_revision


async def test_the_last_word_on_each_place_is_what_is_to_be_written(beneath: Store) -> None:
    cluster = born(beneath)
    staged = StagedStore(beneath, cluster)
    staged.commit(cluster, [put("a")])
    staged.commit(cluster, [put("b"), remove("a"), remove("old")])
    staged.commit(cluster, [put("old", "configmaps")])
    assert [(type(write), write.name) for write in staged.writes] == [(Put, "b"), (Put, "old")]
    assert staged.commits == 3


async def test_a_deletion_of_what_is_there_stays(beneath: Store) -> None:
    cluster = born(beneath)
    staged = StagedStore(beneath, cluster)
    staged.commit(cluster, [remove("old")])
    assert [(type(write), write.name) for write in staged.writes] == [(Remove, "old")]

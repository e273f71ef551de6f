import orjson

from kcpshard.storage import owners
from kcpshard.storage.owners import Dependent
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap, memory_shard


def test_only_metadata_counts() -> None:
    inner = {"metadata": {"ownerReferences": [{"uid": "u"}]}}
    assert owners.owner_uids(orjson.dumps({"metadata": {"name": "a"}, "spec": {"template": inner}})) == frozenset()
    assert owners.owner_uids(orjson.dumps(inner)) == {"u"}


def test_a_key_is_taken_apart_again() -> None:
    key = owners.key(7, "u", b"configmaps\0default\0a")
    assert key.startswith(owners.prefix(7, "u"))
    assert owners.dependent(key, len(owners.prefix(7, "u"))) == Dependent("configmaps", "default", "a")


async def test_the_index_follows_every_commit() -> None:
    client = ApiClient(memory_shard())
    store = client.shard.store

    def reference(uid: str) -> dict[str, str]:
        return {"apiVersion": "v1", "kind": "X", "name": "x", "uid": uid}

    await client.create(CONFIGMAPS, configmap("a", ownerReferences=[reference("u"), reference("v")]))
    await client.create(CONFIGMAPS, configmap("b", ownerReferences=[reference("u")]))
    cluster = store.pending_cluster("root")
    assert cluster is not None
    found = store.dependents(cluster, "u", None, 10)
    assert [d.name for d in found] == ["a", "b"]
    assert [d.name for d in store.dependents(cluster, "u", found[0], 10)] == ["b"]
    assert [d.name for d in store.dependents(cluster, "u", None, 1)] == ["a"]
    await client.patch(f"{CONFIGMAPS}/a", {"metadata": {"ownerReferences": [reference("v")]}})
    assert [d.name for d in store.dependents(cluster, "u", None, 10)] == ["b"]
    await client.do("DELETE", f"{CONFIGMAPS}/b")
    assert store.dependents(cluster, "u", None, 10) == []
    assert [d.name for d in store.dependents(cluster, "v", None, 10)] == ["a"]
    await store.close()

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.controllers.garbage_collection import GarbageCollection
from kcpshard.controllers.runner import Runner
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, configmap, memory_shard
from tests.kcpshard.controllers.running import idle, running

Object = dict[str, Any]


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    yield found
    await found.shard.store.close()


@pytest.fixture
async def runner(client: ApiClient) -> AsyncIterator[Runner]:
    async with running(client.shard, (collector(client),)) as found:
        yield found


def collector(client: ApiClient) -> Any:
    return lambda runner: GarbageCollection(client.shard, runner.add)


def reference(owner: Object, blocks: bool = False) -> Object:
    meta = owner["metadata"]
    found = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
    return {**found, "blockOwnerDeletion": True} if blocks else found


async def owned(client: ApiClient, name: str, *owners: Object, blocks: bool = False, **meta: Any) -> Object:
    references = [reference(owner, blocks) for owner in owners]
    found: Object = await client.create(CONFIGMAPS, configmap(name, ownerReferences=references, **meta))
    return found


async def names(client: ApiClient) -> list[str]:
    return (await client.do("GET", CONFIGMAPS)).names


async def delete(client: ApiClient, name: str, policy: str) -> None:
    reply = await client.do("DELETE", f"{CONFIGMAPS}/{name}?propagationPolicy={policy}")
    assert reply.code == 200, reply.json


async def test_dependents_go_when_their_last_owner_has_gone(client: ApiClient, runner: Runner) -> None:
    a = await client.create(CONFIGMAPS, configmap("a"))
    b = await client.create(CONFIGMAPS, configmap("b"))
    await owned(client, "both", a, b)
    child = await owned(client, "child", a)
    await owned(client, "grandchild", child)
    await delete(client, "a", "Background")
    await idle(runner)
    assert await names(client) == ["b", "both"]
    left = (await client.get(f"{CONFIGMAPS}/both"))["metadata"]["ownerReferences"]
    assert [r["name"] for r in left] == ["b"]
    await delete(client, "b", "Background")
    await idle(runner)
    assert await names(client) == []


async def test_many_dependents_go(client: ApiClient, runner: Runner) -> None:
    a = await client.create(CONFIGMAPS, configmap("a"))
    for at in range(200):
        await owned(client, f"c{at}", a)
    await delete(client, "a", "Background")
    await idle(runner)
    assert await names(client) == []
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None
    assert client.shard.store.dependents(cluster, a["metadata"]["uid"], None, 10) == []


async def test_a_dependent_of_an_owner_that_was_never_there_goes(client: ApiClient, runner: Runner) -> None:
    a = await client.create(CONFIGMAPS, configmap("a"))
    a["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    await owned(client, "b", a)
    await idle(runner)
    assert await names(client) == ["a"]


async def test_an_unknown_kind_decides_nothing(client: ApiClient, runner: Runner) -> None:
    await owned(client, "b", {"apiVersion": "x.com/v1", "kind": "X", "metadata": {"name": "x", "uid": "u"}})
    await idle(runner)
    assert await names(client) == ["b"]


async def test_foreground_waits_for_those_who_block(client: ApiClient, runner: Runner) -> None:
    a = await client.create(CONFIGMAPS, configmap("a"))
    await owned(client, "held", a, blocks=True, finalizers=["x.com/a"])
    await owned(client, "quick", a, blocks=True)
    await owned(client, "free", a)
    await delete(client, "a", "Foreground")
    await idle(runner)
    assert await names(client) == ["a", "free", "held"]
    await client.patch(f"{CONFIGMAPS}/held", {"metadata": {"finalizers": None}}, MERGE)
    await idle(runner)
    assert await names(client) == []


async def test_an_owner_goes_when_the_reference_is_taken_away(client: ApiClient, runner: Runner) -> None:
    a = await client.create(CONFIGMAPS, configmap("a"))
    await owned(client, "held", a, blocks=True, finalizers=["x.com/a"])
    await delete(client, "a", "Foreground")
    await idle(runner)
    assert await names(client) == ["a", "held"]
    await client.patch(f"{CONFIGMAPS}/held", {"metadata": {"ownerReferences": None}}, MERGE)
    await idle(runner)
    assert await names(client) == ["held"]


async def test_orphans_stay_without_the_reference(client: ApiClient, runner: Runner) -> None:
    a = await client.create(CONFIGMAPS, configmap("a"))
    for at in range(40):
        await owned(client, f"c{at:02}", a)
    await delete(client, "a", "Orphan")
    await idle(runner)
    found = (await client.get(CONFIGMAPS))["items"]
    assert len(found) == 40 and not any("ownerReferences" in item["metadata"] for item in found)


async def test_a_circle_ends_in_the_foreground(client: ApiClient, runner: Runner) -> None:
    made = [await client.create(CONFIGMAPS, configmap(name)) for name in ("a", "b", "c")]
    for at, obj in enumerate(made):
        patch = {"metadata": {"ownerReferences": [reference(made[at - 1], True)]}}
        await client.patch(f"{CONFIGMAPS}/{obj['metadata']['name']}", patch, MERGE)
    await idle(runner)
    assert await names(client) == ["a", "b", "c"]
    await delete(client, "a", "Foreground")
    await idle(runner)
    assert await names(client) == []


async def test_what_went_while_nobody_looked_is_found(client: ApiClient) -> None:
    a = await client.create(CONFIGMAPS, configmap("a"))
    b = await client.create(CONFIGMAPS, configmap("b"))
    async with running(client.shard, (collector(client),)) as runner:
        await idle(runner)
        runner.remember()
    await owned(client, "of-a", a)
    await owned(client, "of-b", b, blocks=True)
    await delete(client, "a", "Background")
    await delete(client, "b", "Foreground")
    async with running(client.shard, (collector(client),)) as runner:
        await idle(runner)
    assert await names(client) == []


async def test_an_owner_in_another_namespace_is_reported(client: ApiClient, runner: Runner) -> None:
    await client.create("/api/v1/namespaces", {"metadata": {"name": "one"}})
    a = await client.create("/api/v1/namespaces/one/configmaps", configmap("a"))
    b = await owned(client, "b", a)
    await idle(runner)
    assert await names(client) == []
    (event,) = (await client.get("/api/v1/namespaces/default/events"))["items"]
    assert event["reason"] == "OwnerRefInvalidNamespace" and event["involvedObject"]["uid"] == b["metadata"]["uid"]
    uid = a["metadata"]["uid"]
    shown = f"[v1/ConfigMap, namespace: default, name: a, uid: {uid}]"
    assert event["message"] == f'ownerRef {shown} does not exist in namespace "default"'


async def test_a_cluster_scoped_object_cannot_be_owned_from_a_namespace(client: ApiClient, runner: Runner) -> None:
    a = await client.create(CONFIGMAPS, configmap("a"))
    role = {"metadata": {"name": "r", "ownerReferences": [reference(a)]}, "rules": []}
    await client.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
    await idle(runner)
    await delete(client, "a", "Background")
    await idle(runner)
    assert "r" in (await client.do("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles")).names
    events = (await client.get("/api/v1/namespaces/default/events"))["items"]
    assert [e["reason"] for e in events] == ["OwnerRefInvalidNamespace"]


async def test_cluster_scoped_owners_have_dependents_in_namespaces(client: ApiClient, runner: Runner) -> None:
    role = await client.create(
        "/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": "r"}, "rules": []}
    )
    await owned(client, "b", role)
    await idle(runner)
    assert await names(client) == ["b"]
    await client.do("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/r")
    await idle(runner)
    assert await names(client) == []


async def test_logical_clusters_do_not_touch_each_other(client: ApiClient, runner: Runner) -> None:
    other = ApiClient(client.shard, "other")
    a = await client.create(CONFIGMAPS, configmap("a"))
    await other.create(CONFIGMAPS, configmap("a"))
    await owned(client, "b", a)
    await idle(runner)
    await delete(client, "a", "Background")
    await idle(runner)
    assert await names(client) == [] and await names(other) == ["a"]

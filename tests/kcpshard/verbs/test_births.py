import asyncio

from kcpshard.verbs.births import NAMESPACES, first_objects, is_complete
from kcpshard.verbs.dispatch import dispatch
from kcpshard.verbs.namespace_contents import NamespaceContents
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, configmap, memory_shard


async def test_the_first_write_bears_the_cluster_with_its_namespaces(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    found = await client.get("/api/v1/namespaces")
    assert [item["metadata"]["name"] for item in found["items"]] == sorted(NAMESPACES)
    for item in found["items"]:
        assert item["metadata"]["labels"] == {"kubernetes.io/metadata.name": item["metadata"]["name"]}
        assert (item["spec"], item["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


async def test_birth_and_write_are_one_group(client: ApiClient) -> None:
    groups: list[list[int]] = []
    client.shard.store.on_commit(lambda commits: groups.append([len(c.changes) for c in commits]))
    await client.create(CONFIGMAPS, configmap("a"))
    assert groups == [[3, 1]]


async def test_a_refused_write_bears_nothing(client: ApiClient) -> None:
    assert (await client.do("POST", CONFIGMAPS, configmap("A_b"))).code == 422
    assert (await client.do("POST", "/api/v1/namespaces/nope/configmaps", configmap("a"))).code == 404
    assert (await client.do("PUT", CONFIGMAPS + "/a", configmap("a"))).code == 404
    assert (await client.do("PATCH", CONFIGMAPS + "/a", {}, MERGE)).code == 404
    assert (await client.do("DELETE", CONFIGMAPS + "/a")).code == 404
    assert client.shard.store.pending_cluster("root") is None


async def test_two_first_writes_in_one_turn(client: ApiClient) -> None:
    for name in "ab":
        dispatch(client.shard, client.request("POST", CONFIGMAPS, configmap(name)))
    assert (await client.do("GET", CONFIGMAPS)).names == ["a", "b"]


async def test_only_top_level_clusters_are_born(client: ApiClient) -> None:
    nested = ApiClient(client.shard, "root:org")
    for method, url, body in (("GET", CONFIGMAPS, None), ("POST", CONFIGMAPS, configmap("a"))):
        reply = await nested.do(method, url, body)
        assert (reply.code, reply.message) == (404, 'logical cluster "root:org" not found')


async def test_kubelets_have_a_namespace_where_there_are_nodes() -> None:
    full = ApiClient(memory_shard(api_set="full"))
    await full.create(CONFIGMAPS, configmap("a"))
    assert "kube-node-lease" in (await full.do("GET", "/api/v1/namespaces")).names
    await full.shard.store.close()


def test_uids_are_the_objects_own() -> None:
    assert len({put.uid for put in first_objects(0)}) == len(NAMESPACES)


async def test_a_birth_is_complete_and_one_of_the_shards_own_clusters_is_not(client: ApiClient) -> None:
    shard = client.shard
    shard.contents = NamespaceContents(True, "a certificate")
    sizes: list[int] = []
    shard.store.on_commit(lambda commits: sizes.extend(len(c.changes) for c in commits if c.born))
    await client.create(CONFIGMAPS, configmap("a"))
    _, pending = shard.store.create_cluster("own", first_objects(0))
    await asyncio.sleep(0.01)
    assert [is_complete(shard, size) for size in sizes] == [True, False]
    assert len(pending.values) == len(NAMESPACES)

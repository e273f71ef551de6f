import pytest

from kcpshard.api.errors import Conflict, NotFound
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import LogicalCluster
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap, memory_shard


@pytest.fixture
async def client() -> ApiClient:
    found = ApiClient(memory_shard())
    await found.create(CONFIGMAPS, configmap("a", {"x": "1"}))
    return found


def parts(client: ApiClient) -> tuple[SystemClient, LogicalCluster, Resource]:
    cluster = client.shard.store.pending_cluster("root")
    resource = client.shard.catalog.find(cluster, "", "v1", "configmaps")
    assert cluster is not None and resource is not None
    return SystemClient(client.shard, "some-controller"), cluster, resource


async def test_each_call_returns_when_it_is_durable(client: ApiClient) -> None:
    system, cluster, resource = parts(client)
    await system.create(cluster, resource, "default", configmap("b"))
    found = client.shard.store.get(cluster, "configmaps", "default", "b")
    assert found is not None
    await system.merge(cluster, resource, "default", "b", {"data": {"y": "2"}})
    assert (await client.get(f"{CONFIGMAPS}/b"))["data"] == {"y": "2"}
    await system.delete(cluster, resource, "default", "b", {})
    assert client.shard.store.get(cluster, "configmaps", "default", "b") is None
    await system.delete_collection(cluster, resource, "default")
    assert (await client.do("GET", CONFIGMAPS)).names == []


async def test_an_update_of_an_old_version_is_a_conflict(client: ApiClient) -> None:
    system, cluster, resource = parts(client)
    old = await client.get(f"{CONFIGMAPS}/a")
    await system.update(cluster, resource, {**old, "data": {"x": "2"}})
    with pytest.raises(Conflict):
        await system.update(cluster, resource, {**old, "data": {"x": "3"}})


async def test_refusals_are_raised(client: ApiClient) -> None:
    system, cluster, resource = parts(client)
    with pytest.raises(NotFound):
        await system.delete(cluster, resource, "default", "nope", {})

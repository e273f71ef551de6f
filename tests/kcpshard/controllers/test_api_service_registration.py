"""APIServices of custom group versions come and go with their definitions."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.api.events import Change, EventType
from kcpshard.controllers.api_service_registration import LABEL, ApiServiceRegistration
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.definitions.local_api_services import API_SERVICES
from kcpshard.storage.contract import LogicalCluster
from tests.contracts.api_client import ApiClient, memory_shard
from tests.contracts.full_cluster import full_cluster
from tests.kcpshard.controllers.running import idle, running

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KEY = ("a.dev", "v1")


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    yield found
    await found.shard.store.close()


async def define(client: ApiClient, plural: str = "things") -> LogicalCluster:
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [
        {"name": "v1", "served": True, "storage": True, "schema": schema},
        {"name": "v2", "served": False, "storage": False, "schema": schema},
    ]
    names = {"plural": plural, "kind": plural.title()}
    spec = {"group": "a.dev", "scope": "Cluster", "names": names, "versions": versions}
    await client.create(DEFINITIONS, {"metadata": {"name": f"{plural}.a.dev"}, "spec": spec})
    cluster = client.shard.store.find_cluster(client.cluster)
    assert cluster is not None
    return cluster


async def shown(client: ApiClient) -> Any:
    reply = await client.do("GET", f"{SERVICES}/v1.a.dev")
    return reply.json if reply.code == 200 else None


async def test_each_served_version_is_looked_at(client: ApiClient) -> None:
    cluster = await define(client)
    value = client.shard.store.get(cluster, CRDS, "", "things.a.dev")
    controller = ApiServiceRegistration(client.shard)
    change = Change(EventType.ADDED, 1, CRDS, "", "things.a.dev", value, None)
    assert controller.see(1, change) == (KEY,)
    for name, keys in (("v1.a.dev", (KEY,)), ("v1.apps", ()), ("v1.", (("", "v1"),))):
        assert controller.see(1, Change(EventType.DELETED, 1, API_SERVICES, "", name, None, None)) == keys


async def test_it_is_registered_restored_and_taken_back(client: ApiClient) -> None:
    cluster = await define(client)
    controller = ApiServiceRegistration(client.shard)
    await controller.reconcile(cluster, KEY)
    found = await shown(client)
    assert found["metadata"]["labels"] == {LABEL: "true"}
    assert found["spec"] == {"group": "a.dev", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100}
    assert found["status"]["conditions"][0]["reason"] == "Local"
    await client.patch(f"{SERVICES}/v1.a.dev", {"spec": {"versionPriority": 5}})
    await controller.reconcile(cluster, KEY)
    assert (await shown(client))["spec"]["versionPriority"] == 100
    await client.do("DELETE", f"{SERVICES}/v1.a.dev")
    await controller.reconcile(cluster, KEY)
    assert await shown(client)
    await client.do("DELETE", f"{DEFINITIONS}/things.a.dev")
    value = await client.do("GET", f"{DEFINITIONS}/things.a.dev")
    if value.code == 200:  # its finalizer is another controller's business
        await client.patch(f"{DEFINITIONS}/things.a.dev", {"metadata": {"finalizers": None}})
    await controller.reconcile(cluster, KEY)
    assert await shown(client) is None


async def test_what_somebody_else_registered_stays(client: ApiClient) -> None:
    spec = {"group": "a.dev", "version": "v1", "groupPriorityMinimum": 1500, "versionPriority": 15}
    await client.create(SERVICES, {"metadata": {"name": "v1.a.dev"}, "spec": spec})
    cluster = await define(client)
    controller = ApiServiceRegistration(client.shard)
    await controller.reconcile(cluster, KEY)
    assert (await shown(client))["spec"] == spec
    await controller.reconcile(cluster, ("gone.dev", "v1"))


@pytest.mark.parametrize("name", ["v1.", "v1.rbac.authorization.k8s.io"])
async def test_what_is_built_in_comes_back(name: str) -> None:
    async with full_cluster() as client, running(client.shard, (lambda r: ApiServiceRegistration(r._shard),)) as runner:
        url = f"{SERVICES}/{name}"
        old = await client.get(url)
        assert (await client.do("DELETE", url)).code == 200
        await idle(runner)
        new = await client.get(url)
        assert new["spec"] == old["spec"] and new["metadata"]["labels"] == old["metadata"]["labels"]
        assert new["status"]["conditions"][0]["reason"] == "Local"
        assert new["metadata"]["uid"] != old["metadata"]["uid"]
        await client.do("DELETE", url)
        await idle(runner)
        assert (await client.do("GET", url)).code == 200

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.api.errors import Forbidden
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap, memory_shard, settle

QUOTAS = "/api/v1/namespaces/default/resourcequotas"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    yield found
    await found.shard.store.close()


async def quota(client: ApiClient, hard: dict[str, str], name: str = "q", **spec: Any) -> None:
    made = await client.create(QUOTAS, {"metadata": {"name": name}, "spec": {"hard": hard, **spec}})
    status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    reply = await client.do("PUT", f"{QUOTAS}/{name}/status", {**made, "status": status})
    assert reply.code == 200, reply.json


async def used(client: ApiClient, name: str = "q") -> Any:
    return (await client.get(f"{QUOTAS}/{name}"))["status"]["used"]


async def test_a_creation_is_charged_in_its_own_commit(client: ApiClient) -> None:
    await quota(client, {"configmaps": "2", "count/configmaps": "5", "secrets": "1"})
    made = await client.create(CONFIGMAPS, configmap("a"))
    found = await client.get(f"{QUOTAS}/q")
    assert found["status"]["used"] == {"configmaps": "1", "count/configmaps": "1", "secrets": "0"}
    assert found["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_what_exceeds_is_refused_in_the_words_of_kube_apiserver(client: ApiClient) -> None:
    await quota(client, {"configmaps": "1", "count/configmaps": "5"})
    await client.create(CONFIGMAPS, configmap("a"))
    reply = await client.do("POST", CONFIGMAPS, configmap("b"))
    text = "exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1"
    assert reply.code == 403 and reply.message == f'configmaps "b" is forbidden: {text}'
    assert (await used(client))["configmaps"] == "1"


async def test_of_many_at_once_exactly_as_many_as_allowed_are_made(client: ApiClient) -> None:
    await quota(client, {"configmaps": "3"})
    accepted = []
    for at in range(10):  # none of them durable before the next is decided
        try:
            outcome = dispatch(client.shard, client.request("POST", CONFIGMAPS, configmap(f"c{at}")))
        except Forbidden:
            continue
        accepted.append(outcome)
    assert len(accepted) == 3
    for outcome in accepted:
        await settle(outcome)
    assert await used(client) == {"configmaps": "3"} and len((await client.do("GET", CONFIGMAPS)).names) == 3


async def test_what_is_not_made_is_not_charged(client: ApiClient) -> None:
    await quota(client, {"configmaps": "9"})
    await client.create(CONFIGMAPS, configmap("a"))
    assert (await client.do("POST", CONFIGMAPS, configmap("a"))).code == 409
    assert (await client.do("POST", f"{CONFIGMAPS}?dryRun=All", configmap("b"))).code == 201
    await client.patch(f"{CONFIGMAPS}/a", {"data": {"x": "y"}})
    assert await used(client) == {"configmaps": "1"}


async def test_each_quota_counts_and_scoped_ones_only_pods(client: ApiClient) -> None:
    await quota(client, {"configmaps": "9"}, "one")
    await quota(client, {"configmaps": "1"}, "two")
    await client.create(CONFIGMAPS, configmap("a"))
    assert "exceeded quota: two" in (await client.do("POST", CONFIGMAPS, configmap("b"))).message
    assert await used(client, "one") == {"configmaps": "1"}


async def test_a_status_that_does_not_know_is_refused(client: ApiClient) -> None:
    made = await client.create(QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "1"}}})
    status = {"hard": {"configmaps": "1"}, "used": {}}
    await client.do("PUT", f"{QUOTAS}/q/status", {**made, "status": status})
    assert "status unknown for quota: q, resources: configmaps" in (
        (await client.do("POST", CONFIGMAPS, configmap("a"))).message
    )


async def test_other_namespaces_are_not_counted(client: ApiClient) -> None:
    await quota(client, {"configmaps": "0"})
    await client.create("/api/v1/namespaces", {"metadata": {"name": "one"}})
    await client.create("/api/v1/namespaces/one/configmaps", configmap("a"))

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.controllers.resource_quota import ResourceQuota
from kcpshard.controllers.runner import Runner
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, configmap, memory_shard
from tests.kcpshard.controllers.running import idle, running

QUOTAS = "/api/v1/namespaces/default/resourcequotas"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    yield found
    await found.shard.store.close()


@pytest.fixture
async def runner(client: ApiClient) -> AsyncIterator[Runner]:
    async with running(client.shard, (lambda r: ResourceQuota(client.shard, r.is_active),)) as found:
        yield found


def quota(**hard: str) -> dict[str, Any]:
    return {"metadata": {"name": "q"}, "spec": {"hard": hard}}


async def status(client: ApiClient) -> Any:
    return (await client.get(f"{QUOTAS}/q"))["status"]


async def test_a_new_quota_counts_what_is_there(client: ApiClient, runner: Runner) -> None:
    for at in range(300):
        await client.create(CONFIGMAPS, configmap(f"c{at}"))
    await client.create(QUOTAS, quota(configmaps="500", secrets="5", resourcequotas="1", cpu="3", services="2"))
    await idle(runner)
    assert await status(client) == {
        "hard": {"configmaps": "500", "cpu": "3", "resourcequotas": "1", "secrets": "5", "services": "2"},
        "used": {"configmaps": "300", "cpu": "0", "resourcequotas": "1", "secrets": "0", "services": "0"},
    }


async def test_what_is_made_while_it_counts_is_counted_once(client: ApiClient, runner: Runner) -> None:
    for at in range(300):
        await client.create(CONFIGMAPS, configmap(f"c{at}"))
    await client.create(QUOTAS, quota(configmaps="500"))
    for at in range(100):
        await client.create(CONFIGMAPS, configmap(f"d{at}"))
        if at % 3 == 0:
            await client.do("DELETE", f"{CONFIGMAPS}/c{at}")
    await idle(runner)
    assert (await status(client))["used"] == {"configmaps": str(400 - 34)}


async def test_deletions_give_back(client: ApiClient, runner: Runner) -> None:
    await client.create(QUOTAS, quota(configmaps="2"))
    await idle(runner)
    await client.create(CONFIGMAPS, configmap("a"))
    await client.create(CONFIGMAPS, configmap("b"))
    assert (await client.do("POST", CONFIGMAPS, configmap("c"))).code == 403
    await client.do("DELETE", f"{CONFIGMAPS}/a")
    await idle(runner)
    assert (await status(client))["used"] == {"configmaps": "1"}
    await client.create(CONFIGMAPS, configmap("c"))


async def test_another_who_counts_too_is_not_taken_for_admission(client: ApiClient, runner: Runner) -> None:
    """An attached kube-controller-manager may be the first to give back what a deletion freed."""
    await client.create(QUOTAS, quota(configmaps="9"))
    await client.create(CONFIGMAPS, configmap("a"))
    await idle(runner)
    await client.create(CONFIGMAPS, configmap("b"))
    await client.do("DELETE", f"{CONFIGMAPS}/b")
    used = {"status": {"used": {"configmaps": "1"}}}
    assert (await client.do("PATCH", f"{QUOTAS}/q/status", used, MERGE)).code == 200
    await idle(runner)
    assert (await status(client))["used"] == {"configmaps": "1"}


async def test_what_another_takes_away_wrongly_is_put_right(client: ApiClient, runner: Runner) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    await client.create(QUOTAS, quota(configmaps="9"))
    await idle(runner)
    await client.do("PATCH", f"{QUOTAS}/q/status", {"status": {"used": {"configmaps": "0"}}}, MERGE)
    await idle(runner)
    assert (await status(client))["used"] == {"configmaps": "1"}


async def test_a_changed_limit_is_in_force_when_its_status_says_so(client: ApiClient, runner: Runner) -> None:
    await client.create(QUOTAS, quota(configmaps="0"))
    await idle(runner)
    assert (await client.do("POST", CONFIGMAPS, configmap("a"))).code == 403
    await client.patch(f"{QUOTAS}/q", {"spec": {"hard": {"configmaps": "1", "count/secrets": "1"}}})
    await idle(runner)
    assert (await status(client))["used"] == {"configmaps": "0", "count/secrets": "0"}
    await client.create(CONFIGMAPS, configmap("a"))


async def test_a_scoped_quota_counts_no_config_maps(client: ApiClient, runner: Runner) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    spec = {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}
    await client.create(QUOTAS, {"metadata": {"name": "q"}, "spec": spec})
    await idle(runner)
    assert (await status(client))["used"] == {"pods": "0"}

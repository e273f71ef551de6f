from typing import Any

import pytest

from tests.contracts.api_client import ApiClient
from tests.contracts.full_cluster import BUDGETS, PODS, budget, full_cluster, pod


async def running(client: ApiClient, name: str, ready: str = "True") -> None:
    await client.create(PODS, pod(name, nodeName="n"))
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    await client.patch(f"{PODS}/{name}/status", {"status": status})


def eviction(name: str, **options: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "deleteOptions": options}


async def test_a_budget_gives_one_disruption_at_a_time() -> None:
    async with full_cluster() as client:
        for name in ("a", "b"):
            await running(client, name)
        await client.create(BUDGETS, budget("d", minAvailable=1))
        early = await client.do("POST", f"{PODS}/a/eviction", eviction("a"))
        assert (early.code, early.answer.retry_after_s) == (429, 10)
        counts = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1}
        await client.patch(f"{BUDGETS}/d/status", {"status": {**counts, "expectedPods": 2}})
        await client.create(f"{PODS}/a/eviction?dryRun=All", eviction("a"))
        await client.create(f"{PODS}/a/eviction", eviction("a", gracePeriodSeconds=5))
        going = await client.get(f"{PODS}/a")
        assert going["metadata"]["deletionGracePeriodSeconds"] == 5
        assert going["status"]["conditions"][-1]["reason"] == "EvictionByEvictionAPI"
        left = (await client.get(f"{BUDGETS}/d"))["status"]
        assert (left["disruptionsAllowed"], list(left["disruptedPods"])) == (0, ["a"])
        late = await client.do("POST", f"{PODS}/b/eviction", eviction("b"))
        assert late.json["details"]["causes"][0]["reason"] == "DisruptionBudget"


@pytest.mark.parametrize(("policy", "code"), [("AlwaysAllow", 201), ("IfHealthyBudget", 429)])
async def test_a_pod_that_is_not_ready(policy: str, code: int) -> None:
    async with full_cluster() as client:
        await running(client, "a", ready="False")
        await client.create(BUDGETS, budget("d", minAvailable=1, unhealthyPodEvictionPolicy=policy))
        assert (await client.do("POST", f"{PODS}/a/eviction", eviction("a"))).code == code


async def test_preconditions_are_of_the_pod_as_it_was() -> None:
    async with full_cluster() as client:
        await running(client, "a")
        version = (await client.get(f"{PODS}/a"))["metadata"]["resourceVersion"]
        wrong = await client.do("POST", f"{PODS}/a/eviction", eviction("a", preconditions={"resourceVersion": "1"}))
        assert wrong.code == 409
        await client.create(f"{PODS}/a/eviction", eviction("a", preconditions={"resourceVersion": version}))


async def test_a_repeated_eviction_is_told_the_first_answer() -> None:
    async with full_cluster() as client:
        await client.create(PODS, pod("a"))
        request = client.request("POST", f"{PODS}/a/eviction", eviction("a"))
        request.request_id = b"0123456789abcdef"
        assert (await client.send(request)).code == 201
        request.repeat, request.first_sent_us = True, client.shard.now_us() - 1_000_000
        assert (await client.send(request)).code == 201

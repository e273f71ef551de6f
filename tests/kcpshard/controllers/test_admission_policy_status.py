from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.controllers.admission_policy_status import POLICIES, AdmissionPolicyStatus
from kcpshard.storage.contract import LogicalCluster
from tests.contracts.api_client import ApiClient, memory_shard
from tests.contracts.registrations import API, constraints

URL = f"{API}/validatingadmissionpolicies"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard(api_set="full"))
    yield found
    await found.shard.store.close()


async def policy(client: ApiClient, expression: str) -> tuple[Any, LogicalCluster]:
    spec = {"matchConstraints": constraints(), "validations": [{"expression": expression}]}
    made = await client.create(URL, {"metadata": {"name": "p"}, "spec": spec})
    cluster = client.shard.store.find_cluster(client.cluster)
    assert cluster is not None
    return made, cluster


async def test_the_status_tells_of_each_generation(client: ApiClient) -> None:
    made, cluster = await policy(client, "object.nope == 1")
    controller = AdmissionPolicyStatus(client.shard)
    assert await controller.reconcile(cluster, ("p",)) == 0
    status = (await client.get(f"{URL}/p"))["status"]
    assert status["observedGeneration"] == 1
    (warning,) = status["typeChecking"]["expressionWarnings"]
    assert warning["fieldRef"] == "spec.validations[0].expression" and "undefined field 'nope'" in warning["warning"]
    made["spec"]["validations"][0]["expression"] = "has(object.data)"
    made["metadata"].pop("resourceVersion")
    await client.patch(f"{URL}/p", {"spec": made["spec"]})
    await controller.reconcile(cluster, ("p",))
    status = (await client.get(f"{URL}/p"))["status"]
    assert status == {"observedGeneration": 2, "typeChecking": {}}


async def test_what_is_known_is_not_written_again(client: ApiClient) -> None:
    _, cluster = await policy(client, "true")
    controller = AdmissionPolicyStatus(client.shard)
    await controller.reconcile(cluster, ("p",))
    before = (await client.get(f"{URL}/p"))["metadata"]["resourceVersion"]
    await controller.reconcile(cluster, ("p",))
    assert (await client.get(f"{URL}/p"))["metadata"]["resourceVersion"] == before
    await controller.reconcile(cluster, ("gone",))
    assert POLICIES.startswith("validatingadmissionpolicies.")

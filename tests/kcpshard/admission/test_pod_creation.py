import pytest

from tests.contracts.api_client import ApiClient, memory_shard

PODS = "/api/v1/namespaces/default/pods"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}}


@pytest.fixture
async def client() -> ApiClient:
    client = ApiClient(memory_shard(api_set="full"))
    await client.create("/api/v1/namespaces", {"metadata": {"name": "made"}})
    return client


async def test_a_pod_needs_its_account(client: ApiClient) -> None:
    found = await client.do("POST", "/api/v1/namespaces/made/pods", POD)
    assert found.code == 403
    assert 'serviceaccount "default" not found' in found.message


async def test_what_a_pod_is_given(client: ApiClient) -> None:
    await client.create("/api/v1/namespaces/made/serviceaccounts", {"metadata": {"name": "default"}})
    made = (await client.do("POST", "/api/v1/namespaces/made/pods", POD)).json["spec"]
    assert made["priority"] == 0
    assert [t["tolerationSeconds"] for t in made["tolerations"]] == [300, 300]
    assert made["containers"][0]["volumeMounts"][0]["name"] == made["volumes"][0]["name"]


async def test_unknown_classes_are_refused(client: ApiClient) -> None:
    await client.create("/api/v1/namespaces/made/serviceaccounts", {"metadata": {"name": "default"}})
    for member in ("priorityClassName", "runtimeClassName"):
        pod = {**POD, "spec": {**POD["spec"], member: "nope"}}  # type: ignore[dict-item]
        assert (await client.do("POST", "/api/v1/namespaces/made/pods", pod)).code == 403

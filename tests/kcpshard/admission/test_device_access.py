from tests.contracts.api_client import ApiClient
from tests.contracts.full_cluster import full_cluster

PLACE = "/apis/resource.k8s.io/v1/namespaces/default"
LABELLED = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
MERGE = "application/merge-patch+json"
SPEC = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "adminAccess": True}}]}}


async def test_administrators_ask_for_devices_in_labelled_namespaces_only() -> None:
    async with full_cluster() as client:
        assert [await asked(client, "a", kind) for kind in ("claims", "claimtemplates")] == [422, 422]
        await client.do("PATCH", "/api/v1/namespaces/default", LABELLED, MERGE)
        assert [await asked(client, "b", kind) for kind in ("claims", "claimtemplates")] == [201, 201]


async def asked(client: ApiClient, name: str, kind: str) -> int:
    spec = {"spec": SPEC} if kind == "claimtemplates" else SPEC
    answer = await client.do("POST", f"{PLACE}/resource{kind}", {"metadata": {"name": name}, "spec": spec})
    return answer.code


async def test_they_get_them_there_only() -> None:
    async with full_cluster() as client:
        spec = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}
        await client.create(f"{PLACE}/resourceclaims", {"metadata": {"name": "a"}, "spec": spec})
        result = {"request": "r", "driver": "d", "pool": "p", "device": "x", "adminAccess": True}
        status = {"status": {"allocation": {"devices": {"results": [result]}}}}
        assert (await client.do("PATCH", f"{PLACE}/resourceclaims/a/status", status, MERGE)).code == 422
        await client.do("PATCH", "/api/v1/namespaces/default", LABELLED, MERGE)
        assert (await client.do("PATCH", f"{PLACE}/resourceclaims/a/status", status, MERGE)).code == 200

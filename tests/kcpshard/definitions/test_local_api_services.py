from tests.contracts.api_client import ApiClient, memory_shard

API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


async def test_every_group_version_is_listed_and_available() -> None:
    for api_set in ("minimal", "full"):
        client = ApiClient(memory_shard(api_set=api_set))
        await client.create("/api/v1/namespaces", {"metadata": {"name": "a"}})
        found = (await client.do("GET", API_SERVICES)).json["items"]
        served = {(r.group, r.version) for r in client.shard.catalog.resources(None)}
        assert {(i["spec"].get("group", ""), i["spec"]["version"]) for i in found} == served - {
            ("apiregistration.k8s.io", "v1")
        }
        for item in found:
            (condition,) = item["status"]["conditions"]
            assert (condition["type"], condition["status"], condition["reason"]) == ("Available", "True", "Local")
            assert condition["lastTransitionTime"] == item["metadata"]["creationTimestamp"]
        core = await client.get(f"{API_SERVICES}/v1.")
        assert core["spec"] == {"groupPriorityMinimum": 18000, "version": "v1", "versionPriority": 1}
        await client.shard.store.close()

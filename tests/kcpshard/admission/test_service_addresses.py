from typing import Any

from tests.contracts.api_client import MERGE, ApiClient, memory_shard
from tests.contracts.full_cluster import full_cluster

SERVICES = "/api/v1/namespaces/made/services"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def made(*services: dict[str, Any]) -> list[Any]:
    client = ApiClient(memory_shard(api_set="full"))
    await client.create("/api/v1/namespaces", {"metadata": {"name": "made"}})
    return [await client.do("POST", SERVICES, body) for body in services]


async def test_every_service_has_its_own_address() -> None:
    found = await made(*(service(f"s{n}") for n in range(20)))
    assert len({reply.json["spec"]["clusterIP"] for reply in found}) == 20


async def test_an_address_is_given_once() -> None:
    first, second = await made(*(service(f"s{n}", clusterIP="10.96.0.50") for n in range(2)))
    assert (first.code, second.code) == (201, 422)
    assert "already allocated" in second.message


async def test_node_ports_collide_and_have_a_range() -> None:
    ports = [{"port": 80, "nodePort": 30100}]
    far = service("c", type="NodePort", ports=[{"port": 80, "nodePort": 80}])
    found = await made(service("a", type="NodePort", ports=ports), service("b", type="NodePort", ports=ports), far)
    assert [reply.code for reply in found] == [201, 422, 422]
    assert "already allocated" in found[1].message
    assert "not in the valid range" in found[2].message


ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
SERVICES = "/api/v1/namespaces/default/services"


async def test_an_address_object_comes_and_goes_with_its_service() -> None:
    async with full_cluster() as client:
        await client.create(SERVICES, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})
        address = (await client.get(f"{SERVICES}/a"))["spec"]["clusterIP"]
        assert (await client.get(f"{ADDRESSES}/{address}"))["spec"]["parentRef"]["name"] == "a"
        patch = {"type": "ExternalName", "externalName": "x.org", "clusterIP": None, "clusterIPs": None}
        await client.patch(f"{SERVICES}/a", {"spec": patch})
        assert (await client.do("GET", f"{ADDRESSES}/{address}")).code == 404
        await client.patch(f"{SERVICES}/a", {"spec": {"type": "ClusterIP", "externalName": None}})
        address = (await client.get(f"{SERVICES}/a"))["spec"]["clusterIP"]
        assert (await client.do("DELETE", f"{SERVICES}/a")).json["kind"] == "Service"
        assert (await client.do("GET", f"{ADDRESSES}/{address}")).code == 404


async def test_a_service_that_waits_for_a_finalizer_keeps_its_address() -> None:
    async with full_cluster() as client:
        meta = {"name": "a", "finalizers": ["a.org/b"]}
        await client.create(SERVICES, {"metadata": meta, "spec": {"ports": [{"port": 80}]}})
        address = (await client.get(f"{SERVICES}/a"))["spec"]["clusterIP"]
        await client.do("DELETE", f"{SERVICES}/a")
        assert (await client.do("GET", f"{ADDRESSES}/{address}")).code == 200
        await client.patch(f"{SERVICES}/a", {"metadata": {"finalizers": None}})
        assert (await client.do("GET", f"{ADDRESSES}/{address}")).code == 404


async def test_a_health_check_port_is_chosen_and_kept() -> None:
    async with full_cluster() as client:
        spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}
        made = await client.create(SERVICES, {"metadata": {"name": "a"}, "spec": spec})
        port = made["spec"]["healthCheckNodePort"]
        assert 30_000 <= port < 32_768 and port != made["spec"]["ports"][0]["nodePort"]
        await client.patch(f"{SERVICES}/a", {"metadata": {"labels": {"a": "b"}}})
        assert (await client.get(f"{SERVICES}/a"))["spec"]["healthCheckNodePort"] == port


async def test_the_form_of_addresses_that_were_there_is_not_judged_again() -> None:
    async with full_cluster() as client:
        await client.create(
            SERVICES, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "clusterIP": "None"}}
        )
        found = await client.do("PATCH", f"{SERVICES}/a", {"spec": {"clusterIPs": ["None", "None"]}}, MERGE)
        assert [cause["field"] for cause in found.json["details"]["causes"]] == ["spec.clusterIPs"]

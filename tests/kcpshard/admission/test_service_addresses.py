from typing import Any

from tests.contracts.api_client import ApiClient, memory_shard

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

"""Services of a logical cluster as places to call."""

from typing import Any

import pytest

from kcpshard.callouts.errors import Unreachable
from kcpshard.definitions.service_endpoints import ServiceEndpoints
from tests.contracts.api_client import ApiClient, memory_shard


@pytest.fixture
async def client() -> Any:
    found = ApiClient(memory_shard(api_set="full"))
    yield found
    await found.shard.store.close()


def lookup(client: ApiClient, name: str, port: int = 443) -> list[tuple[str, int]]:
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None
    return sorted(ServiceEndpoints(client.shard.store).addresses(cluster.id, "default", name, port))


async def make(client: ApiClient, spec: dict[str, Any]) -> None:
    await client.create(f"{CORE}/services", {"metadata": {"name": "hook"}, "spec": spec})


CORE = "/api/v1/namespaces/default"
PORTS = [{"name": "https", "port": 443, "targetPort": 8443}]


async def test_ready_endpoints_of_slices(client: ApiClient) -> None:
    await make(client, {"ports": PORTS})
    piece = {
        "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": 8443}, {"name": "other", "port": 1}],
        "endpoints": [
            {"addresses": ["10.0.0.1"]},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": True}},
        ],
    }
    await client.create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", piece)
    assert lookup(client, "hook") == [("10.0.0.1", 8443), ("10.0.0.3", 8443)]


async def test_endpoints_written_by_hand(client: ApiClient) -> None:
    await make(client, {"ports": PORTS})
    subsets = [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"name": "https", "port": 8443}]}]
    await client.create(f"{CORE}/endpoints", {"metadata": {"name": "hook"}, "subsets": subsets})
    assert lookup(client, "hook") == [("10.0.0.1", 8443)]


async def test_an_external_name(client: ApiClient) -> None:
    await make(client, {"type": "ExternalName", "externalName": "hooks.example.com"})
    assert lookup(client, "hook") == [("hooks.example.com", 443)]


async def test_what_is_missing_is_said(client: ApiClient) -> None:
    await make(client, {"ports": PORTS})
    for name, port, text in (
        ("other", 443, 'service "other" not found'),
        ("hook", 80, 'no service port 80 found for service "hook"'),
        ("hook", 443, 'no endpoints available for service "hook"'),
    ):
        with pytest.raises(Unreachable, match=text):
            lookup(client, name, port)

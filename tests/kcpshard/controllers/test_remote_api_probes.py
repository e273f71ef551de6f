"""The condition Available in kube-apiserver's words; how it follows a real server is in test_forwarding."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kcpshard.controllers.front_proxy_config import FrontProxyConfig
from kcpshard.controllers.remote_api_probes import RemoteApiProbes
from kcpshard.credentials.keys import KeyRing
from kcpshard.definitions.remote_apis import URL
from tests.contracts.api_client import ApiClient, memory_shard
from tests.contracts.webhook_server import Asked, Reply, json_reply, webhook_server

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
CORE = "/api/v1/namespaces/default"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard(api_set="full", webhooks_at=["127.0.0.0/8"]))
    yield found
    await found.shard.callouts.close()
    await found.shard.store.close()


@asynccontextmanager
async def probing(client: ApiClient) -> AsyncIterator[None]:
    remote = client.shard.catalog.remote  # type: ignore[attr-defined]
    config = FrontProxyConfig(client.shard, KeyRing())
    probes = RemoteApiProbes(client.shard, remote, config, asyncio.get_running_loop().time)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(probes.run())
        yield
        running.cancel()


async def condition(client: ApiClient, name: str, reason: str = "") -> dict[str, Any]:
    """Once there is one, and once it has that reason."""
    async with asyncio.timeout(60):
        while True:
            for found in ((await client.get(f"{SERVICES}/{name}")).get("status") or {}).get("conditions") or ():
                if reason in ("", found["reason"]):
                    return dict(found)
            await asyncio.sleep(0.01)


async def register(client: ApiClient, group: str, url: str = "", **spec: Any) -> None:
    meta = {"name": f"v1.{group}", "annotations": {URL: url} if url else {}}
    spec = {"group": group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10, **spec}
    await client.create(SERVICES, {"metadata": meta, "spec": spec})


async def test_services_are_looked_at_first(client: ApiClient) -> None:
    ports = [{"name": "https", "port": 443}]
    for name in ("noep", "empty"):
        await client.create(f"{CORE}/services", {"metadata": {"name": name}, "spec": {"ports": ports}})
    piece = {"metadata": {"name": "e", "labels": {"kubernetes.io/service-name": "empty"}}, "addressType": "IPv4"}
    piece |= {"endpoints": [], "ports": [{"name": "https", "port": 443}]}
    await client.create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", piece)
    wanted = {
        ("missing", 443): ("ServiceNotFound", 'service/missing in "default" is not present'),
        ("noep", 443): ("EndpointsNotFound", 'cannot find endpointslices for service/noep in "default"'),
        ("noep", 8443): ("ServicePortError", 'service/noep in "default" is not listening on port 8443'),
        ("empty", 443): (
            "MissingEndpoints",
            'endpointslices for service/empty in "default" have no addresses with port name "https"',
        ),
    }
    async with probing(client):
        for number, (name, port) in enumerate(wanted):
            service = {"namespace": "default", "name": name, "port": port}
            await register(client, f"g{number}.dev", service=service)
        for number, (reason, message) in enumerate(wanted.values()):
            found = await condition(client, f"v1.g{number}.dev")
            assert (found["status"], found["reason"], found["message"]) == ("False", reason, message)


async def test_a_server_that_does_not_answer_fails_the_discovery_check(client: ApiClient) -> None:
    async with webhook_server(lambda _: (500, {}, b"")) as server:
        pass
    url = f"https://localhost:{server.port}/apis/a.dev/v1"
    async with probing(client):
        await register(client, "a.dev", server.url(""))
        found = await condition(client, "v1.a.dev")
    assert found["reason"] == "FailedDiscoveryCheck"
    refused = f"dial tcp 127.0.0.1:{server.port}: connect: connection refused"
    assert found["message"] == f'failing or missing response from {url}: Get "{url}": {refused}'


async def test_what_a_server_says_is_kept_and_forgotten(client: ApiClient) -> None:
    listed = [{"name": "things", "kind": "Thing"}]

    def answering(asked: Asked) -> Reply:
        if asked.path == "/openapi/v3":
            return json_reply({"paths": {"apis/a.dev/v1": {"serverRelativeURL": "/openapi/v3/x?hash=1"}}})
        assert asked.path == "/apis/a.dev/v1" and asked.headers["x-remote-user"] == "system:kube-aggregator"
        return json_reply({"kind": "APIResourceList", "resources": listed})

    remote = client.shard.catalog.remote  # type: ignore[attr-defined]
    async with webhook_server(answering) as server, probing(client):
        await register(client, "a.dev", server.url(""), caBundle=server.client_config()["caBundle"])
        found = await condition(client, "v1.a.dev")
        assert (found["status"], found["reason"], found["message"]) == ("True", "Passed", "all checks passed")
        cluster = client.shard.store.find_cluster(client.cluster)
        assert cluster is not None
        told = remote.described(cluster, "v1.a.dev")
        assert told is not None and (told.resources, told.openapi) == (listed, "/openapi/v3/x?hash=1")
        await client.patch(f"{SERVICES}/v1.a.dev", {"spec": {"caBundle": None}, "metadata": {"annotations": None}})
        found = await condition(client, "v1.a.dev", "Local")
        assert found["status"] == "True" and remote.described(cluster, "v1.a.dev") is None

"""Which group versions are another server's."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.callouts.targets import ServiceReference
from kcpshard.definitions.remote_apis import URL, Described, RemoteApis, remote_api, url_fault
from tests.contracts.api_client import ApiClient, memory_shard

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


def service(group: str = "a.dev", url: str = "", **spec: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": f"v1.{group}"}
    if url:
        meta["annotations"] = {URL: url}
    found = {"group": group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10, **spec}
    return {"metadata": meta, "spec": found}


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    await found.create("/api/v1/namespaces", {"metadata": {"name": "x"}})
    yield found
    await found.shard.store.close()


def remote(client: ApiClient) -> RemoteApis:
    found = client.shard.catalog.remote  # type: ignore[attr-defined]
    assert isinstance(found, RemoteApis)
    return found


async def test_only_what_names_another_server_is_remote(client: ApiClient) -> None:
    cluster = client.shard.store.find_cluster(client.cluster)
    assert cluster is not None
    assert remote(client).index(cluster) is None
    await client.create(SERVICES, service("local.dev"))
    await client.create(SERVICES, service("a.dev", "https://a.example/base"))
    await client.create(SERVICES, service("b.dev", service={"namespace": "x", "name": "s"}))
    index = remote(client).index(cluster)
    assert index is not None and set(index.apis) == {("a.dev", "v1"), ("b.dev", "v1")}
    named = remote(client).find(cluster, "b.dev", "v1")
    assert named is not None and named.config.service == ServiceReference("x", "s", "", 443)
    assert named.at("/y").service == ServiceReference("x", "s", "/y", 443)
    by_url = index.apis["a.dev", "v1"]
    assert by_url.at(by_url.path).url == "https://a.example/base/apis/a.dev/v1"
    assert by_url.config.shows_certificate and not by_url.is_available
    await client.do("DELETE", f"{SERVICES}/v1.a.dev")
    assert remote(client).find(cluster, "a.dev", "v1") is None


async def test_groups_of_kubernetes_are_never_given_away(client: ApiClient) -> None:
    await client.create(SERVICES, service("apps", "https://a.example"))
    assert remote(client).index(client.shard.store.find_cluster(client.cluster)) is None


async def test_what_servers_say_is_bounded(client: ApiClient) -> None:
    cluster = client.shard.store.find_cluster(client.cluster)
    assert cluster is not None
    for number in range(5):
        remote(client).describe(cluster, f"v1.{number}", Described([], "", 10 << 20))
    assert [remote(client).described(cluster, f"v1.{n}") is not None for n in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_an_available_one_says_so() -> None:
    obj = {**service("a.dev", "https://x"), "status": {"conditions": [{"type": "Available", "status": "True"}]}}
    found = remote_api(obj)
    assert found is not None and found.is_available


@pytest.mark.parametrize("url", ["http://x", "https://u@x", "https://x?a=b", "x", "https://"])
def test_a_url_is_one_of_https_alone(url: str) -> None:
    assert url_fault(url)
    assert not url_fault("https://x:8443/base")

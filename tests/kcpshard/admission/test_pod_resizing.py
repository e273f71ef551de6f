"""Updates that a pod's node must be able to make. Sentences and causes are kube-apiserver 1.36's."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contracts.api_client import STRATEGIC, ApiClient
from tests.contracts.full_cluster import PODS, full_cluster, pod

NODES = "/api/v1/nodes"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    async with full_cluster() as found:
        yield found


async def node(client: ApiClient, status: dict[str, Any], **labels: str) -> None:
    made = await client.create(NODES, {"metadata": {"name": "n", "labels": labels}})
    made["status"] = status
    assert (await client.do("PUT", f"{NODES}/n/status", made)).code == 200


def asking(cpu: str, memory: str = "1Mi") -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}}


async def resized(client: ApiClient, part: dict[str, Any], containers: str = "containers") -> Any:
    """The answer's code, message and causes."""
    patch = {"spec": {containers: [{"name": "a" if containers == "containers" else "i", **part}]}}
    found = await client.do("PATCH", f"{PODS}/a/resize", patch, content_type=STRATEGIC)
    return found.code, found.json.get("message"), (found.json.get("details") or {}).get("causes")


async def placed(client: ApiClient, **spec: Any) -> None:
    await client.create(
        PODS, pod("a", nodeName="n", **{"containers": [{"name": "a", "image": "x", **asking("1")}], **spec})
    )


async def test_a_resize_needs_room_on_its_node(client: ApiClient) -> None:
    await node(client, {"allocatable": {"cpu": "2", "memory": "1Gi"}}, **{"kubernetes.io/os": "linux"})
    await placed(client)
    assert (await resized(client, asking("2")))[0] == 200
    text = 'pods "a" is forbidden: node didn\'t have enough allocatable resources: '
    faults = "cpu, requested: 2001, allocatable: 2000; memory, requested: 1073741825, allocatable: 1073741824"
    assert await resized(client, asking("2001m", "1073741825")) == (403, text + faults, [{"reason": "NodeCapacity"}])


async def test_a_resize_that_changes_nothing_needs_no_node(client: ApiClient) -> None:
    await placed(client)
    assert (await resized(client, asking("1")))[0] == 200
    assert (await resized(client, asking("2")))[:2] == (403, 'pods "a" is forbidden: node "n" not found')


async def test_a_resize_is_for_linux(client: ApiClient) -> None:
    await node(client, {"allocatable": {"cpu": "9", "memory": "9Gi"}}, **{"kubernetes.io/os": "windows"})
    await placed(client)
    text = 'pods "a" is forbidden: pod resize is only supported on linux nodes, node "n" is "windows"'
    assert await resized(client, asking("2")) == (403, text, [{"reason": "UnsupportedPlatform"}])


async def test_what_only_some_nodes_can_do_is_asked_of_them(client: ApiClient) -> None:
    await node(client, {"allocatable": {"cpu": "9", "memory": "9Gi"}})
    await placed(client, initContainers=[{"name": "i", "image": "x", **asking("1")}])
    feature = "InPlacePodVerticalScalingInitContainers"
    text = f'pods "a" is forbidden: pod update requires features {feature} which are not available on node "n"'
    assert (await resized(client, asking("2"), "initContainers"))[:2] == (403, text)
    found = await client.get(f"{NODES}/n")
    found["status"]["declaredFeatures"] = [feature]
    assert (await client.do("PUT", f"{NODES}/n/status", found)).code == 200
    assert (await resized(client, asking("2"), "initContainers"))[0] == 200

"""Against a server of our own, and against sockets that behave badly."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpfront.embedding import EmbeddedCluster, EmbeddedServer
from kcpsyncer.kube_client import REQUESTS, Failure, KubeClient, resource_path, tls_context
from kcpsyncer.kubeconfig import Access, parse

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def cluster(upstream_server: EmbeddedServer) -> EmbeddedCluster:
    return upstream_server.create_cluster()


@pytest.fixture
async def client(cluster: EmbeddedCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(parse(cluster.kubeconfig.read_text())) as opened:
        yield opened


def config(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_paths() -> None:
    assert resource_path("apps", "v1", "deployments", "n", "a") == "/apis/apps/v1/namespaces/n/deployments/a"
    assert resource_path("", "v1", "nodes") == "/api/v1/nodes"


async def test_verbs(client: KubeClient) -> None:
    made = await client.create(MAPS, config("a", k="1"))
    assert (await client.get(f"{MAPS}/a")) == made
    changed = await client.update(f"{MAPS}/a", {**made, "data": {"k": "2"}})
    with pytest.raises(Failure) as conflict:
        await client.update(f"{MAPS}/a", {**made, "data": {"k": "3"}})
    assert (conflict.value.code, conflict.value.reason) == (409, "Conflict")
    assert (await client.merge(f"{MAPS}/a", {"data": {"l": "3"}}))["data"] == {"k": "2", "l": "3"}
    applied = await client.apply(f"{MAPS}/b", config("b", k="1"))
    assert applied["metadata"]["managedFields"][0]["operation"] == "Apply"
    items, version = await client.list(MAPS)
    assert {"a", "b"} <= {each["metadata"]["name"] for each in items} and version
    assert all(each["kind"] == "ConfigMap" and each["apiVersion"] == "v1" for each in items)
    with pytest.raises(Failure, match="UID in the precondition"):
        await client.delete(f"{MAPS}/a", "another")
    await client.delete(f"{MAPS}/a", changed["metadata"]["uid"])
    assert await client.get(f"{MAPS}/a") is None
    await client.delete(f"{MAPS}/a")  # gone already


async def test_watch(client: KubeClient) -> None:
    _, version = await client.list(MAPS)
    await client.create(MAPS, config("w"))
    async for event in client.watch(MAPS, version):
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "w")
        break
    with pytest.raises(Failure) as refused:
        async for _ in client.watch("/api/v1/nothing", "1"):
            pass
    assert refused.value.code == 404


async def test_watches_take_no_connection_from_requests(client: KubeClient) -> None:
    """One for each of many clusters' types, over one client."""
    _, version = await client.list(MAPS)
    seen = asyncio.Semaphore(0)

    async def watch() -> None:
        async for _event in client.watch(MAPS, version):
            seen.release()

    count = REQUESTS + 4
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(watch()) for _ in range(count)]
        await client.create(MAPS, config("w"))
        for _ in range(count):
            await seen.acquire()
        await client.create(MAPS, config("x"))
        for task in watching:
            task.cancel()


async def test_a_server_whose_certificate_is_not_trusted(
    cluster: EmbeddedCluster, physical_server: EmbeddedServer
) -> None:
    access = parse(cluster.kubeconfig.read_text())
    other = parse(physical_server.kubeconfig.read_text())
    async with KubeClient(Access(access.server, other.authority, access.token)) as client:
        with pytest.raises(Failure, match="cannot be verified"):
            await client.get(MAPS)


async def test_nobody_there() -> None:
    async with KubeClient(Access("https://127.0.0.1:9", "", "sesame")) as client:
        with pytest.raises(Failure) as failure:
            await client.get("/version")
    assert failure.value.code == 0 and "sesame" not in str(failure.value)


async def test_a_redirect_is_not_followed(cluster: EmbeddedCluster, tmp_path: Any) -> None:
    """A physical cluster could otherwise send our token wherever it likes."""
    hits: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:9/stolen\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with KubeClient(Access(f"http://127.0.0.1:{port}", "", "t")) as client:
        with pytest.raises(Failure, match="HTTP 302"):
            await client.get("/version")
    server.close()
    assert len(hits) == 1


def test_a_certificate_that_is_none() -> None:
    with pytest.raises(Exception, match=r"PEM|no start line|NO_START|not enough"):
        tls_context(Access("https://h", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"))

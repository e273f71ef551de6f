"""OpenAPI v2 of other servers: fetched when asked for, kept for a while."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from kcpshard.callouts.addresses import AddressPolicy, parse_networks
from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.targets import ca_bundle
from kcpshard.definitions.contract import Document
from kcpshard.definitions.remote_apis import RemoteApi
from kcpshard.definitions.remote_apis import client_config as config_of
from kcpshard.definitions.remote_openapi import KEPT_S, RemoteOpenApi
from kcpshard.storage.contract import LogicalCluster
from tests.contracts.api_client import ApiClient, memory_shard
from tests.contracts.webhook_server import Asked, Reply, WebhookServer, json_reply, webhook_server

LOCAL = Document(200, orjson.dumps({"swagger": "2.0", "paths": {"/api/": {}}, "definitions": {}}), '"L1"')


@pytest.fixture
async def cluster() -> AsyncIterator[LogicalCluster]:
    client = ApiClient(memory_shard())
    await client.create("/api/v1/namespaces", {"metadata": {"name": "x"}})
    found = client.shard.store.find_cluster("root")
    assert found is not None
    yield found
    await client.shard.store.close()


def api(server: WebhookServer, group: str, is_available: bool = True) -> RemoteApi:
    config = server.client_config("/base")
    meta = {"name": f"v1.{group}", "annotations": {"apiregistration.kcp.io/url": config["url"]}}
    made = config_of({"metadata": meta, "spec": {"caBundle": config["caBundle"]}})
    assert made is not None and ca_bundle(config["caBundle"])
    return RemoteApi(f"v1.{group}", group, "v1", 1000, 15, made, is_available)


def answering(asked: Asked) -> Reply:
    paths = {"/apis/a.dev/v1/as": {"get": {}}, "/apis/b.dev/v1/bs": {"get": {}}}
    return json_reply({"swagger": "2.0", "paths": paths, "definitions": {}})


async def paths(remote: RemoteOpenApi, cluster: LogicalCluster, apis: list[RemoteApi]) -> tuple[list[str], str]:
    found = await remote.document(cluster, apis, LOCAL)
    return sorted(orjson.loads(found.body)["paths"]), found.etag


async def test_servers_are_asked_once_a_minute_and_only_those_that_are_well(cluster: LogicalCluster) -> None:
    now = 0.0
    callouts = Callouts(AddressPolicy(parse_networks(("127.0.0.0/8",))))
    remote = RemoteOpenApi(callouts, lambda: now)
    async with webhook_server(answering) as server:
        first = [api(server, "a.dev"), api(server, "b.dev", is_available=False)]
        found, tag = await paths(remote, cluster, first)
        assert found == ["/api/", "/apis/a.dev/v1/as"]
        assert await paths(remote, cluster, first) == (found, tag)
        assert [asked.path for asked in server.asked] == ["/base/openapi/v2"]
        both, other_tag = await paths(remote, cluster, [first[0], api(server, "b.dev")])
        assert both == ["/api/", "/apis/a.dev/v1/as", "/apis/b.dev/v1/bs"] and other_tag != tag
        now = KEPT_S
        assert await paths(remote, cluster, first) == (found, tag), "the same again has the same tag"
        assert len(server.asked) == 4
    await callouts.close()


async def test_a_server_that_does_not_answer_costs_nobody_his_document(cluster: LogicalCluster) -> None:
    callouts = Callouts(AddressPolicy(parse_networks(("127.0.0.0/8",))))
    jobs: list[Any] = []

    async def run(path: str, function: str, payload: bytes) -> bytes:
        jobs.append((path, function))
        from kcpshard.definitions.openapi_merging import merge_job

        return merge_job(payload)

    remote = RemoteOpenApi(callouts)
    remote.run = run
    async with webhook_server(lambda _: (404, {}, b"no")) as server:
        gone = api(server, "a.dev")
        assert (await paths(remote, cluster, [gone]))[0] == ["/api/"]
    assert (await paths(remote, cluster, [gone._replace(name="v1.other")]))[0] == ["/api/"]
    assert jobs == [("root", "kcpshard.definitions.openapi_merging:merge_job")] * 2
    await callouts.close()

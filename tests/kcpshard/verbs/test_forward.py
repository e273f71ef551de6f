"""Requests for another server: who may, what it hears, what comes back."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from kcpshard.api.errors import ApiError
from kcpshard.api.requests import Answer, Identity
from kcpshard.definitions.remote_apis import NOT_REMOTE, URL, USE_PROXY
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import ADMIN, ApiClient, memory_shard
from tests.contracts.webhook_server import Asked, Reply, WebhookServer, webhook_server

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
PATH = "/apis/a.dev/v1/namespaces/default/things"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    shard = memory_shard(webhooks_at=["127.0.0.0/8"])
    found = ApiClient(shard)
    await found.create("/api/v1/namespaces", {"metadata": {"name": "x"}})
    yield found
    await shard.callouts.close()
    await shard.store.close()


async def register(client: ApiClient, server: WebhookServer, available: bool = True) -> None:
    config = server.client_config("/base")
    meta = {"name": "v1.a.dev", "annotations": {URL: config["url"]}}
    spec = {"group": "a.dev", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10}
    await client.create(SERVICES, {"metadata": meta, "spec": {**spec, "caBundle": config["caBundle"]}})
    if available:
        condition = {"type": "Available", "status": "True", "reason": "Passed", "lastTransitionTime": None}
        await client.patch(f"{SERVICES}/v1.a.dev/status", {"status": {"conditions": [condition]}})


def request(identity: Identity = ADMIN, **changes: Any) -> pb.Request:
    asked = {"verb": "list", "method": "GET", "target": f"{PATH}?limit=5", "headers": [["X-Own", "1"]]}
    asked |= changes
    return pb.Request(
        verb=pb.FORWARD, cluster="root", group="a.dev", version="v1", resource="things", namespace="default",
        identity=identity.encode(), forwarded=orjson.dumps(asked), timeout_ms=5000,
    )  # fmt: skip


async def ask(client: ApiClient, asked: pb.Request) -> list[Answer]:
    outcome: Any = dispatch(client.shard, asked)
    return [piece async for piece in outcome]


async def refused(client: ApiClient, asked: pb.Request) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await ask(client, asked)
    return caught.value


async def test_what_comes_goes_on_and_the_answer_comes_back(client: ApiClient) -> None:
    def answering(asked: Asked) -> Reply:
        return 418, {"Content-Type": "x/y", "X-Own": "2"}, b"tea"

    async with webhook_server(answering) as server:
        await register(client, server)
        (answer,) = await ask(client, request(headers=[["X-Own", "1"], ["x-remote-user", "eve"]]))
        (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", f"/base{PATH}?limit=5")
    assert (asked.headers["x-own"], asked.headers["x-remote-user"]) == ("1", "admin")
    assert asked.headers["x-remote-extra-kcp.io%2fcluster"] == "root"
    assert (answer.code, answer.body) == (200, b"tea")
    assert answer.info is not None
    head = orjson.loads(answer.head)
    assert head["code"] == 418 and ["X-Own", "2"] in head["headers"]


async def test_a_large_answer_comes_in_pieces(client: ApiClient) -> None:
    async with webhook_server(lambda _: (200, {}, b"x" * 500_000)) as server:
        await register(client, server)
        pieces = await ask(client, request())
    assert len(pieces) > 2 and b"".join(piece.body for piece in pieces) == b"x" * 500_000
    assert [piece.info is not None for piece in pieces][-1] and pieces[0].head and not pieces[1].head


async def test_who_may_not_is_refused_here(client: ApiClient) -> None:
    async with webhook_server(lambda _: (200, {}, b"")) as server:
        await register(client, server)
        error = await refused(client, request(Identity("eve")))
        assert not server.asked
    assert error.code == 403 and 'cannot list resource "things" in API group "a.dev"' in error.message


async def test_who_takes_it_for_ours_is_told(client: ApiClient) -> None:
    async with webhook_server(lambda _: (200, {}, b"")) as server:
        assert (await refused(client, request())).code == NOT_REMOTE
        await register(client, server)
        assert (await client.do("GET", PATH)).code == USE_PROXY
        assert (await client.do("POST", PATH, {"metadata": {"name": "a"}})).code == USE_PROXY


async def test_an_unavailable_one_is_not_asked(client: ApiClient) -> None:
    async with webhook_server(lambda _: (200, {}, b"")) as server:
        await register(client, server, available=False)
        error = await refused(client, request())
        assert (error.code, error.body()) == (503, b"service unavailable\n")
        assert not server.asked


async def test_a_server_cannot_send_anybody_elsewhere(client: ApiClient) -> None:
    async with webhook_server(lambda _: (302, {"Location": "https://evil.example"}, b"")) as server:
        await register(client, server)
        error = await refused(client, request())
    text = b"the backend attempted to redirect this request, which is not permitted\n"
    assert (error.code, error.body()) == (502, text)


async def test_one_that_is_gone_is_told_of(client: ApiClient) -> None:
    async with webhook_server(lambda _: (200, {}, b"")) as server:
        await register(client, server)
    error = await refused(client, request())
    assert error.code == 503
    assert (
        error.message == f"error trying to reach service: dial tcp 127.0.0.1:{server.port}: connect: connection refused"
    )

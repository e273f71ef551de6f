import base64
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from kcpshard.verbs.dispatch import dispatch
from tests.contracts.admission_hooks import configure, hook, reviewing
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap, memory_shard
from tests.contracts.webhook_server import webhook_server


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard(api_set="full", webhooks_at=["127.0.0.0/8", "::1/128"]))
    yield found
    await found.shard.callouts.close()
    await found.shard.store.close()


def patching(*steps: Any) -> dict[str, Any]:
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(steps)).decode()}


def adding(name: str) -> dict[str, Any]:
    return patching({"op": "add", "path": f"/data/{name}", "value": "x"})


async def test_each_is_asked_once_about_one_write(client: ApiClient) -> None:
    async with webhook_server(reviewing(lambda request: adding(str(len(request["object"]["data"]))))) as server:
        await configure(client, "mutating", hook(server), hook(server, "two"))
        await configure(client, "validating", hook(server, path="/v", rules=[]), name="none")
        made = await client.create(CONFIGMAPS, configmap("a", {"k": "v"}))
        assert made["data"] == {"k": "v", "1": "x", "2": "x"}
        assert len(server.asked) == 2


async def test_what_validating_ones_see_is_what_is_stored(client: ApiClient) -> None:
    seen: list[Any] = []

    def look(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request["object"])
        return {"allowed": True, "warnings": ["seen"]}

    async with webhook_server(reviewing(look)) as server:
        await configure(client, "validating", hook(server), hook(server, "two"))
        reply = await client.do("POST", CONFIGMAPS, {"metadata": {"generateName": "g-"}, "data": {}})
        made = reply.json
        assert [obj["metadata"]["name"] for obj in seen] == [made["metadata"]["name"]] * 2
        assert [obj["metadata"]["uid"] for obj in seen] == [made["metadata"]["uid"]] * 2
        assert list(reply.answer.warnings) == ["seen", "seen"]


async def test_a_change_in_the_meantime_is_shown_and_kept(client: ApiClient) -> None:
    """An unconditional patch that waits for a webhook is made anew on what another write has left."""
    await client.create(CONFIGMAPS, configmap("a", {"k": "v"}))
    shown: list[Any] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        shown.append(request["object"]["data"])
        if len(shown) == 1:
            dispatch(client.shard, client.request("PUT", f"{CONFIGMAPS}/a", configmap("a", {"other": "1"})))
        return {"allowed": True}

    async with webhook_server(reviewing(answer)) as server:
        await configure(client, "validating", hook(server, objectSelector={"matchLabels": {"slow": "1"}}))
        patch = {"metadata": {"labels": {"slow": "1"}}}
        changed = await client.patch(f"{CONFIGMAPS}/a", patch, "application/merge-patch+json")
    assert shown == [{"k": "v"}, {"other": "1"}] and changed["data"] == {"other": "1"}


async def test_failures(client: ApiClient) -> None:
    async with webhook_server(lambda asked: (500, {"Content-Type": "text/plain"}, b"broken")) as server:
        await configure(client, "validating", hook(server))
        reply = await client.do("POST", CONFIGMAPS, configmap("a"))
        text = 'Internal error occurred: failed calling webhook "one.example.com": failed to call webhook: an error on '
        assert reply.code == 500 and reply.message.startswith(text)
        other = ApiClient(client.shard, "other")
        await configure(other, "validating", hook(server, failurePolicy="Ignore"))
        await other.create(CONFIGMAPS, configmap("a"))


async def test_a_refusal_is_the_webhooks_status(client: ApiClient) -> None:
    status = {"code": 418, "reason": "Teapot", "message": "short and stout"}
    async with webhook_server(reviewing(lambda request: {"allowed": False, "status": status})) as server:
        await configure(client, "validating", hook(server))
        reply = await client.do("POST", CONFIGMAPS, configmap("a"))
        assert reply.code == 418 and reply.json["reason"] == "Teapot"
        assert reply.message == 'admission webhook "one.example.com" denied the request: short and stout'


async def test_nothing_on_this_machine_is_called_unless_an_operator_allows_it() -> None:
    plain = ApiClient(memory_shard(api_set="full"))
    async with webhook_server(reviewing(lambda request: {"allowed": True})) as server:
        await configure(plain, "validating", hook(server))
        reply = await plain.do("POST", CONFIGMAPS, configmap("a"))
        assert reply.code == 500 and not server.asked
    await plain.shard.callouts.close()
    await plain.shard.store.close()

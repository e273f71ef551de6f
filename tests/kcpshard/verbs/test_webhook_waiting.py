from collections.abc import AsyncIterator
from typing import Any

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


async def test_each_object_of_a_collection_is_asked_about(client: ApiClient) -> None:
    seen: list[str] = []

    def look(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request["oldObject"]["metadata"]["name"])
        return {"allowed": True}

    for name in "abc":
        await client.create(CONFIGMAPS, configmap(name))
    async with webhook_server(reviewing(look)) as server:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"]}
        await configure(client, "validating", hook(server, rules=[rule]))
        assert (await client.do("DELETE", CONFIGMAPS)).code == 200
    assert seen == ["a", "b", "c"]
    assert (await client.get(CONFIGMAPS))["items"] == []


async def test_preconditions_are_judged_after_the_answer(client: ApiClient) -> None:
    """Another write got in between: what was sent with a resourceVersion is a conflict, and nothing is overwritten."""
    made = await client.create(CONFIGMAPS, configmap("a", {"k": "v"}))
    other = ApiClient(client.shard)
    done: list[int] = []

    def interrupt(request: dict[str, Any]) -> dict[str, Any]:
        pending = other.request("DELETE", f"{CONFIGMAPS}/a")
        dispatch(client.shard, pending)
        done.append(1)
        return {"allowed": True}

    async with webhook_server(reviewing(interrupt)) as server:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}
        await configure(client, "validating", hook(server, rules=[rule]))
        reply = await client.do("PUT", f"{CONFIGMAPS}/a", {**made, "data": {"k": "w"}})
    assert reply.code == 404 and done == [1]

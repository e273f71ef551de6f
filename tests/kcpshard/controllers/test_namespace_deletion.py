import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kcpshard.controllers import namespace_deletion
from kcpshard.controllers.namespace_deletion import NamespaceDeletion
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, Clock, configmap, memory_shard

ONE = "/api/v1/namespaces/one"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    await found.create("/api/v1/namespaces", {"metadata": {"name": "one"}})
    yield found
    await found.shard.store.close()


@asynccontextmanager
async def running(client: ApiClient) -> AsyncIterator[NamespaceDeletion]:
    controller = NamespaceDeletion(client.shard)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(controller.run())
        yield controller
        task.cancel()


async def gone(client: ApiClient) -> None:
    async with asyncio.timeout(5):
        while (await client.do("GET", ONE)).code != 404:
            await asyncio.sleep(0)


async def test_a_namespace_is_emptied_and_goes(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("kept"))
    for at in range(70):
        await client.create(ONE + "/configmaps", configmap(f"c{at}"))
    await client.create(ONE + "/secrets", {"metadata": {"name": "s"}})
    async with running(client) as controller:
        await client.do("DELETE", ONE)
        await gone(client)
        assert controller.waiting == 0
    assert (await client.do("GET", "/api/v1/configmaps")).names == ["kept"]
    assert (await client.do("GET", "/api/v1/secrets")).names == []


async def test_what_was_terminating_at_the_start_goes_on(client: ApiClient) -> None:
    await client.create(ONE + "/configmaps", configmap("a"))
    await client.do("DELETE", ONE)
    async with running(client):
        await gone(client)


async def test_finalizers_hold_it_until_they_are_removed(client: ApiClient) -> None:
    await client.create(ONE + "/configmaps", configmap("a", finalizers=["x.com/a"]))
    async with running(client) as controller:
        await client.do("DELETE", ONE)
        async with asyncio.timeout(5):
            while "deletionTimestamp" not in (await client.get(ONE + "/configmaps/a"))["metadata"]:
                await asyncio.sleep(0)
        assert controller.waiting == 1
        await client.patch(ONE + "/configmaps/a", {"metadata": {"finalizers": None}}, MERGE)
        await gone(client)


async def test_other_finalizers_of_the_namespace_stay(client: ApiClient) -> None:
    await client.patch(ONE, {"metadata": {"finalizers": ["x.com/a"]}}, MERGE)
    async with running(client):
        await client.do("DELETE", ONE)
        async with asyncio.timeout(5):
            while (await client.get(ONE))["spec"]:
                await asyncio.sleep(0)
        await client.patch(ONE, {"metadata": {"finalizers": None}}, MERGE)
        await gone(client)


async def test_a_refusal_is_tried_again(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from kcpshard.api.errors import ServiceUnavailable

    monkeypatch.setattr(namespace_deletion, "_RETRY_S", 0.0)
    dispatch, refusals = namespace_deletion.dispatch, [ServiceUnavailable("full"), ServiceUnavailable("full")]

    def refuse_twice(shard: object, request: object) -> object:
        if refusals:
            raise refusals.pop()
        return dispatch(shard, request)  # type: ignore[arg-type]

    monkeypatch.setattr(namespace_deletion, "dispatch", refuse_twice)
    await client.create(ONE + "/configmaps", configmap("a"))
    async with running(client):
        await client.do("DELETE", ONE)
        await gone(client)
    assert refusals == [] and isinstance(client.shard.now_us, Clock)

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.controllers import system_client
from kcpshard.controllers.namespace_deletion import NamespaceDeletion
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, configmap, memory_shard
from tests.kcpshard.controllers.running import idle, running

ONE = "/api/v1/namespaces/one"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    await found.create("/api/v1/namespaces", {"metadata": {"name": "one"}})
    yield found
    await found.shard.store.close()


def controller(client: ApiClient) -> NamespaceDeletion:
    return NamespaceDeletion(client.shard)


async def is_gone(client: ApiClient) -> bool:
    return (await client.do("GET", ONE)).code == 404


def by_type(namespace: Any) -> dict[str, tuple[str, str, str]]:
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in namespace["status"]["conditions"]}


async def test_a_namespace_is_emptied_and_goes(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("kept"))
    for at in range(70):
        await client.create(ONE + "/configmaps", configmap(f"c{at}"))
    await client.create(ONE + "/secrets", {"metadata": {"name": "s"}})
    deletion = controller(client)
    async with running(client.shard, (lambda _: deletion,)) as runner:
        await client.do("DELETE", ONE)
        await idle(runner)
    assert await is_gone(client) and deletion.waiting == 0
    assert (await client.do("GET", "/api/v1/configmaps")).names == ["kept"]
    assert (await client.do("GET", "/api/v1/secrets")).names == []


async def test_what_was_terminating_at_the_start_goes_on(client: ApiClient) -> None:
    await client.create(ONE + "/configmaps", configmap("a"))
    await client.do("DELETE", ONE)
    async with running(client.shard, (lambda _: controller(client),)) as runner:
        await idle(runner)
    assert await is_gone(client)


async def test_its_status_says_what_holds_it_until_that_goes(client: ApiClient) -> None:
    await client.create(ONE + "/configmaps", configmap("a", finalizers=["x.com/a"]))
    deletion = controller(client)
    async with running(client.shard, (lambda _: deletion,)) as runner:
        await client.do("DELETE", ONE)
        await idle(runner)
        found = by_type(await client.get(ONE))
        text = "Some resources are remaining: configmaps. has 1 resource instances"
        assert found["NamespaceContentRemaining"] == ("True", "SomeResourcesRemain", text)
        text = "Some content in the namespace has finalizers remaining: x.com/a in 1 resource instances"
        assert found["NamespaceFinalizersRemaining"] == ("True", "SomeFinalizersRemain", text)
        assert found["NamespaceDeletionContentFailure"][:2] == ("False", "ContentDeleted")
        assert deletion.waiting == 1
        await client.patch(ONE + "/configmaps/a", {"metadata": {"finalizers": None}}, MERGE)
        await idle(runner)
    assert await is_gone(client) and deletion.waiting == 0


async def test_other_finalizers_of_the_namespace_stay(client: ApiClient) -> None:
    await client.patch(ONE, {"metadata": {"finalizers": ["x.com/a"]}}, MERGE)
    async with running(client.shard, (lambda _: controller(client),)) as runner:
        await client.do("DELETE", ONE)
        await idle(runner)
        left = await client.get(ONE)
        assert not left["spec"].get("finalizers") and by_type(left)["NamespaceContentRemaining"][0] == "False"
        await client.patch(ONE, {"metadata": {"finalizers": None}}, MERGE)
    assert await is_gone(client)


async def test_a_refusal_is_told_and_tried_again(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from kcpshard.api.errors import ServiceUnavailable

    dispatch, refusals = system_client.dispatch, [ServiceUnavailable("full"), ServiceUnavailable("full")]

    def refuse_twice(shard: Any, request: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return dispatch(shard, request)

    monkeypatch.setattr(system_client, "dispatch", refuse_twice)
    await client.create(ONE + "/configmaps", configmap("a"))
    async with running(client.shard, (lambda _: controller(client),)) as runner:
        await client.do("DELETE", ONE)
        await idle(runner)
    assert refusals == [] and await is_gone(client)

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.api import loop_time
from kcpshard.controllers.custom_definitions import CustomDefinitions
from kcpshard.controllers.definition_statuses import JOB, settle_job
from kcpshard.definitions.catalog import Catalog
from tests.contracts.api_client import ApiClient, memory_shard
from tests.contracts.custom_types import CRDS, WIDGETS, crd, widget


@pytest.fixture(params=[False, True], ids=["on the loop", "beside it"])
async def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    assert isinstance(found.shard.catalog, Catalog)
    controller = CustomDefinitions(found.shard, found.shard.catalog)
    if request.param:
        monkeypatch.setattr(loop_time, "LARGE_BYTES", 0)
        controller.run_job = beside
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(controller.run())
        yield found
        task.cancel()
    await found.shard.store.close()


async def beside(_path: str, function: str, payload: bytes) -> bytes:
    assert function == JOB
    for _ in range(3):  # others write meanwhile
        await asyncio.sleep(0)
    return settle_job(payload)


async def conditions(client: ApiClient, name: str = "widgets.example.com") -> dict[str, tuple[str, str]]:
    found = (await client.get(f"{CRDS}/{name}"))["status"]["conditions"] or ()
    return {c["type"]: (c["status"], c["reason"]) for c in found}


async def until(client: ApiClient, type_: str, status: str, name: str = "widgets.example.com") -> None:
    async with asyncio.timeout(60):
        while (await conditions(client, name)).get(type_, ("",))[0] != status:
            await asyncio.sleep(0)


async def gone(client: ApiClient, url: str) -> None:
    async with asyncio.timeout(60):
        while (await client.do("GET", url)).code != 404:
            await asyncio.sleep(0)


async def define(client: ApiClient, **changes: Any) -> None:
    await client.create(CRDS, crd(**changes))
    await until(client, "Established", "True")


async def test_a_definition_is_established_and_served(client: ApiClient) -> None:
    assert (await client.do("GET", WIDGETS)).code == 404
    await define(client)
    status = (await client.get(f"{CRDS}/widgets.example.com"))["status"]
    assert status["acceptedNames"]["listKind"] == "WidgetList"
    await client.create(WIDGETS, widget("a"))
    assert (await client.do("GET", WIDGETS)).names == ["a"]


async def test_a_name_in_use_is_refused_until_it_is_free(client: ApiClient) -> None:
    await define(client)
    await client.create(CRDS, crd(plural="others", kind="Widget"))
    await until(client, "NamesAccepted", "False", "others.example.com")
    assert await conditions(client, "others.example.com") == {
        "NamesAccepted": ("False", "ListKindConflict"),
        "Established": ("False", "NotAccepted"),
    }
    await client.do("DELETE", f"{CRDS}/widgets.example.com")
    await until(client, "Established", "True", "others.example.com")


async def test_a_deleted_definition_takes_its_objects_with_it(client: ApiClient) -> None:
    await define(client)
    for at in range(70):
        await client.create(WIDGETS, widget(f"w{at}"))
    await client.create(WIDGETS, widget("held", finalizers=["x.com/a"]))
    deleted = (await client.do("DELETE", f"{CRDS}/widgets.example.com")).json
    assert deleted["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    async with asyncio.timeout(60):
        while (await client.do("GET", WIDGETS)).names != ["held"]:
            await asyncio.sleep(0)
    assert (await conditions(client))["Terminating"] == ("True", "InstanceDeletionInProgress")
    refused = await client.do("POST", WIDGETS, widget("late"))
    assert (refused.code, refused.message) == (
        403,
        'widgets.example.com "late" is forbidden: create not allowed while custom resource definition is terminating',
    )
    await client.patch(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})
    await gone(client, f"{CRDS}/widgets.example.com")
    assert (await client.do("GET", WIDGETS)).code == 404


async def test_what_was_not_settled_at_the_start_goes_on() -> None:
    client = ApiClient(memory_shard())
    assert isinstance(client.shard.catalog, Catalog)
    await client.create(CRDS, crd())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(CustomDefinitions(client.shard, client.shard.catalog).run())
        await until(client, "Established", "True")
        task.cancel()
    await client.create(WIDGETS, widget("a"))
    await client.do("DELETE", f"{CRDS}/widgets.example.com")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(CustomDefinitions(client.shard, client.shard.catalog).run())
        await gone(client, f"{CRDS}/widgets.example.com")
        task.cancel()
    await client.shard.store.close()

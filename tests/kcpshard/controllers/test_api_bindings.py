"""APIBindings from their creation to their end, with the exporter on the same shard and on another one."""

import asyncio
from typing import Any

import pytest

from kcpshard.controllers import export_followers
from kcpshard.controllers.custom_definitions import CustomDefinitions
from kcpshard.definitions.catalog import Catalog
from tests.contracts.custom_types import CRDS, crd
from tests.contracts.shared_apis import (
    ACCEPTED,
    BINDINGS,
    CLAIM,
    EXPORTS,
    SCHEMAS,
    WIDGETS,
    SharedApis,
    binding,
    condition,
    export,
    offer,
    schema,
    shared,
    widget,
)

__all__ = ["shared"]

READY = ("True", "")


async def test_what_is_bound_is_served_and_validated(shared: SharedApis) -> None:
    await shared.publish()
    assert (await shared.consumer.do("GET", WIDGETS)).code == 404
    bound = await shared.bind()
    for type_ in ("APIExportValid", "InitialBindingCompleted", "BindingUpToDate", "Ready"):
        assert condition(bound, type_) == READY
    (resource,) = bound["status"]["boundResources"]
    exported = await shared.exporter.get(f"{EXPORTS}/widgets")
    assert resource["schema"]["identityHash"] == exported["status"]["identityHash"]
    assert (resource["group"], resource["resource"], resource["storageVersions"]) == ("example.com", "widgets", ["v1"])
    assert (await shared.consumer.create(WIDGETS, widget()))["spec"] == {"size": 1}
    reply = await shared.consumer.do("POST", WIDGETS, {**widget("b"), "spec": {"size": "large"}})
    assert reply.code == 422 and "spec.size" in reply.message
    assert (await shared.exporter.do("GET", WIDGETS)).code == 404, "the exporter offers it, and has not bound it"


async def test_binders_share_what_is_compiled(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    shared.tier.home["other"] = shared.tier.owner("consumer")
    other = shared.tier.client("other")
    await shared.bind(other)
    await other.create(WIDGETS, widget())
    await shared.consumer.create(WIDGETS, widget())
    store, catalog = shared.consumer.shard.store, shared.consumer.shard.catalog
    found = []
    for path in ("other", "consumer"):
        cluster = store.find_cluster(path)
        resource = catalog.find(cluster, "example.com", "v1", "widgets")
        assert resource is not None
        found.append(resource)
    assert found[0] is found[1]


async def test_it_goes_on_after_a_restart_and_without_the_exporter(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    await shared.consumer.create(WIDGETS, widget())
    await shared.restart()
    assert (await shared.consumer.get(f"{WIDGETS}/w"))["spec"] == {"size": 1}
    assert (await shared.exporter.do("DELETE", f"{EXPORTS}/widgets")).code == 200
    found = await shared.until(
        shared.consumer, f"{BINDINGS}/widgets", lambda each: condition(each, "APIExportValid")[0] == "False"
    )
    assert condition(found, "APIExportValid") == ("False", "APIExportNotFound")
    assert condition(found, "Ready") == ("False", "APIExportNotFound")
    assert found["status"]["phase"] == "Bound"
    await shared.consumer.create(WIDGETS, widget("still"))


async def test_a_new_schema_of_the_export_reaches_the_binding(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    raw = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"colour": {"type": "string"}}}}}
    await shared.exporter.create(SCHEMAS, schema("v2.widgets.example.com", raw=raw))
    change = {"spec": {"resources": [offer("v2.widgets.example.com")]}}
    await shared.exporter.patch(f"{EXPORTS}/widgets", change)
    await shared.until(
        shared.consumer,
        f"{BINDINGS}/widgets",
        lambda each: each["status"]["boundResources"][0]["schema"]["name"] == "v2.widgets.example.com",
    )
    made = {**widget(), "spec": {"colour": "red"}}
    assert (await shared.consumer.create(WIDGETS, made))["spec"] == {"colour": "red"}


async def test_an_export_that_comes_later(shared: SharedApis) -> None:
    await shared.consumer.create(BINDINGS, binding())
    await shared.until(
        shared.consumer, f"{BINDINGS}/widgets", lambda each: condition(each, "APIExportValid")[1] == "APIExportNotFound"
    )
    await shared.publish()
    await shared.until(shared.consumer, f"{BINDINGS}/widgets", lambda each: condition(each, "Ready") == READY)


async def test_the_end_takes_the_objects(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    for number in range(40):
        await shared.consumer.create(WIDGETS, widget(f"w{number}"))
    await shared.consumer.create(WIDGETS, widget("held", finalizers=["example.com/hold"]))
    await shared.consumer.do("DELETE", f"{BINDINGS}/widgets")
    found = await shared.until(
        shared.consumer,
        f"{BINDINGS}/widgets",
        lambda each: condition(each, "BindingResourceDeleteSuccess") == ("False", "SomeResourcesRemain"),
    )
    assert found["metadata"]["deletionTimestamp"]
    refused = await shared.consumer.do("POST", WIDGETS, widget("new"))
    assert refused.code in (403, 405), refused.json
    assert (await shared.consumer.do("GET", WIDGETS)).names == ["held"]
    await shared.consumer.patch(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})
    async with asyncio.timeout(60):
        while (await shared.consumer.do("GET", f"{BINDINGS}/widgets")).code != 404:
            await asyncio.sleep(0.01)
    assert (await shared.consumer.do("GET", WIDGETS)).code == 404
    await shared.bind()
    assert (await shared.consumer.do("GET", WIDGETS)).names == []


async def test_names_in_use_are_a_condition(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    await shared.consumer.create(BINDINGS, binding("again"))
    found = await shared.until(
        shared.consumer, f"{BINDINGS}/again", lambda each: condition(each, "BindingUpToDate")[0] == "False"
    )
    assert condition(found, "BindingUpToDate") == ("False", "NamingConflicts")
    assert condition(found, "Ready") == ("False", "NamingConflicts") or found["status"]["phase"] == "Binding"
    await shared.consumer.do("DELETE", f"{BINDINGS}/widgets")
    await shared.until(shared.consumer, f"{BINDINGS}/again", lambda each: each["status"]["phase"] == "Bound")


async def test_what_the_logical_cluster_defines_itself_wins(shared: SharedApis) -> None:
    await shared.publish()
    catalog = shared.consumer.shard.catalog
    assert isinstance(catalog, Catalog)
    task = shared.tier.tasks.create_task(CustomDefinitions(shared.consumer.shard, catalog).run())
    await shared.consumer.create(CRDS, crd())
    await shared.until(shared.consumer, f"{CRDS}/widgets.example.com", lambda each: condition(each, "Established"))
    await shared.consumer.create(BINDINGS, binding())
    found = await shared.until(
        shared.consumer, f"{BINDINGS}/widgets", lambda each: condition(each, "BindingUpToDate")[0] == "False"
    )
    assert found["status"]["phase"] == "Binding"
    await shared.consumer.create(WIDGETS, widget(size=3))
    task.cancel()


async def test_claims_are_applied_as_accepted(shared: SharedApis) -> None:
    other = {"group": "", "resource": "secrets", "verbs": ["get", "list"]}
    await shared.publish(permissionClaims=[CLAIM, other])
    rejected = {**other, "state": "Rejected", "selector": {"matchAll": True}}
    found = await shared.bind(claims=[ACCEPTED, rejected])
    assert [each["resource"] for each in found["status"]["appliedPermissionClaims"]] == ["configmaps"]
    assert [each["resource"] for each in found["status"]["exportPermissionClaims"]] == ["configmaps", "secrets"]
    unknown = {"group": "", "resource": "services", "verbs": ["*"], "state": "Accepted", "selector": {"matchAll": True}}
    changed = await shared.consumer.get(f"{BINDINGS}/widgets")
    changed["spec"]["permissionClaims"].append(unknown)
    await shared.consumer.do("PUT", f"{BINDINGS}/widgets", changed)
    found = await shared.until(
        shared.consumer, f"{BINDINGS}/widgets", lambda each: condition(each, "PermissionClaimsValid")[0] == "False"
    )
    assert (
        "services" in next(c for c in found["status"]["conditions"] if c["type"] == "PermissionClaimsValid")["message"]
    )


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        pytest.param(None, "APIResourceSchemaInvalid", id="missing"),
        pytest.param(schema(raw={"properties": {}}), "APIResourceSchemaInvalid", id="not structural"),
    ],
)
async def test_a_schema_that_cannot_be_served(shared: SharedApis, made: Any, reason: str) -> None:
    if made is not None:
        await shared.exporter.create(SCHEMAS, made)
    await shared.exporter.create(EXPORTS, export())
    await shared.consumer.create(BINDINGS, binding())
    found = await shared.until(
        shared.consumer, f"{BINDINGS}/widgets", lambda each: condition(each, "APIExportValid")[1] == reason
    )
    assert found["status"]["phase"] == "Binding"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export on another shard is looked at often."""
    monkeypatch.setattr(export_followers, "LOOK_S", 0.02)

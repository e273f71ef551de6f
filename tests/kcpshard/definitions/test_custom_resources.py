import asyncio
from typing import Any

import pytest

from kcpshard.definitions.custom_resources import without_descriptions
from tests.contracts.api_client import MERGE
from tests.contracts.custom_types import CRDS, SCHEMA, WIDGETS, crd, established, version, widget

V2 = WIDGETS.replace("/v1/", "/v2/")
OPEN: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


async def test_objects_are_pruned_defaulted_and_judged() -> None:
    async with established() as client:
        made = await client.create(WIDGETS, widget("a", {"size": 1, "zz": 1}))
        assert made["spec"] == {"size": 1, "color": "red"}
        refused = await client.do("POST", WIDGETS + "?fieldValidation=Strict", widget("b", {"zz": 1}))
        assert (refused.code, "unknown field" in refused.message) == (400, True)
        refused = await client.do("POST", WIDGETS, widget("b", {"size": 9}))
        assert (refused.code, refused.json["details"]["causes"][0]["field"]) == (422, "spec.size")


async def test_status_and_generation() -> None:
    async with established(version(subresources={"status": {}})) as client:
        await client.create(WIDGETS, {**widget("a"), "status": {"ready": 1}})
        found = await client.patch(f"{WIDGETS}/a/status", {"status": {"ready": 2}, "spec": {"size": 1}})
        assert (found["status"], found["spec"], found["metadata"]["generation"]) == ({"ready": 2}, {"color": "red"}, 1)
        found = await client.patch(f"{WIDGETS}/a", {"status": {"ready": 7}, "spec": {"size": 1}})
        assert (found["status"], found["metadata"]["generation"]) == ({"ready": 2}, 2)


async def test_without_the_subresource_status_is_a_field() -> None:
    async with established(version()) as client:
        await client.create(WIDGETS, {**widget("a"), "status": {"ready": 1}})
        found = await client.patch(f"{WIDGETS}/a", {"status": {"ready": 2}})
        assert (found["status"], found["metadata"]["generation"]) == ({"ready": 2}, 2)
        assert (await client.do("GET", f"{WIDGETS}/a/status")).code == 404


async def test_each_served_version_shows_the_object_by_its_own_schema() -> None:
    async with established(version(schema=OPEN), version("v2", False, deprecated=True)) as client:
        await client.create(WIDGETS, widget("a", {"any": 1, "size": 2}))
        reply = await client.do("GET", f"{V2}/a")
        assert (reply.json["apiVersion"], reply.json["spec"]) == ("example.com/v2", {"size": 2})
        assert reply.answer.warnings == ("example.com/v2 Widget is deprecated",)
        found = await client.patch(f"{V2}/a", {"spec": {"size": 3}}, MERGE)
        assert found["apiVersion"] == "example.com/v2"
        assert (await client.get(f"{WIDGETS}/a"))["spec"]["size"] == 3


async def test_what_was_invalid_may_stay_so() -> None:
    async with established(version(schema=OPEN)) as client:
        await client.create(WIDGETS, widget("a", {"size": 9, "color": "x"}))
        await redefine(client, version())
        assert (await client.patch(f"{WIDGETS}/a", {"spec": {"color": "blue"}}))["spec"]["size"] == 9
        assert (await client.do("PATCH", f"{WIDGETS}/a", {"spec": {"size": 8}}, MERGE)).code == 422


async def redefine(client: Any, *versions: Any) -> None:
    url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"
    await client.patch(url, {"spec": {"versions": list(versions)}})


async def test_defaults_come_to_stored_objects_too() -> None:
    async with established(version(schema=OPEN)) as client:
        await client.create(WIDGETS, widget("a", {"other": 1}))
        await redefine(client, version())
        assert (await client.get(f"{WIDGETS}/a"))["spec"] == {"color": "red"}
        assert (await client.get(WIDGETS))["items"][0]["spec"] == {"color": "red"}


async def test_selectable_fields() -> None:
    async with established(version(selectableFields=[{"jsonPath": ".spec.color"}])) as client:
        for name, color in (("a", "red"), ("b", "blue")):
            await client.create(WIDGETS, widget(name, {"color": color}))
        assert (await client.do("GET", WIDGETS + "?fieldSelector=spec.color%3Dblue")).names == ["b"]
        assert (await client.do("GET", WIDGETS + "?fieldSelector=spec.size%3D1")).code == 400


@pytest.mark.parametrize(
    ("group", "name", "url"),
    [("", "gizmos.core", "/api/v1"), ("apps", "deployments.apps", "/apis/apps/v1")],
)
async def test_kinds_of_kubernetes_may_be_defined(group: str, name: str, url: str) -> None:
    async with established() as client:
        plural = name.partition(".")[0]
        made = crd(plural=plural, kind="Any")
        made["metadata"]["name"], made["spec"]["group"] = name, group
        await client.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", made)
        async with asyncio.timeout(60):
            while (await client.do("GET", f"{url}/namespaces/default/{plural}")).code != 200:
                await asyncio.sleep(0)
        obj = {"apiVersion": url.removeprefix("/apis/").removeprefix("/api/"), "kind": "Any", "metadata": {"name": "a"}}
        await client.create(f"{url}/namespaces/default/{plural}", obj)


@pytest.mark.parametrize("plural", ["pods", "services", "persistentvolumeclaims", "nodes"])
async def test_policies_for_kubernetes_kinds_leave_a_definition_of_that_name_alone(plural: str) -> None:
    async with established() as client:
        made = crd(version(schema=OPEN), plural=plural, kind="Any")
        made["metadata"]["name"], made["spec"]["group"] = f"{plural}.core", ""
        await client.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", made)
        url = f"/api/v1/namespaces/default/{plural}"
        async with asyncio.timeout(60):
            while (await client.do("GET", url)).code != 200:
                await asyncio.sleep(0)
        found = await client.create(url, {"apiVersion": "v1", "kind": "Any", "metadata": {"name": "a"}})
        assert "spec" not in found
        assert (await client.patch(f"{url}/a", {"data": "x"}, MERGE))["data"] == "x"


def test_descriptions_are_not_kept() -> None:
    schema = {
        "type": "object",
        "description": "x",
        "properties": {"description": {"type": "string", "description": "y"}},
    }
    assert without_descriptions(schema) == {"type": "object", "properties": {"description": {"type": "string"}}}
    assert without_descriptions(SCHEMA) == SCHEMA


async def test_pods_that_were_imported_are_ways_to_whoever_runs_them() -> None:
    """A set without pods, in which clusters have brought them."""
    pods = "/api/v1/namespaces/default/pods"
    async with established() as client:
        made = crd(version(schema=OPEN, subresources={"status": {}}), plural="pods", kind="Pod")
        made["metadata"]["name"], made["spec"]["group"] = "pods.core", ""
        made["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://example.com"}
        await client.create(CRDS, made)
        async with asyncio.timeout(60):
            while (await client.do("GET", pods)).code != 200:
                await asyncio.sleep(0)
        labels = {"kcp.dev/cluster": "east", "kcp.dev/syncer": "uid"}
        spec = {"containers": [{"name": "a"}], "nodeName": "n"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": labels}, "spec": spec}
        await client.create(pods, pod)
        assert [(await client.do("GET", f"{pods}/p/{each}")).code for each in ("log", "exec")] == [472, 472]
        refused = await client.do("GET", f"{pods}/p/log?container=b")
        assert (refused.code, refused.message) == (400, "container b is not valid for pod p")

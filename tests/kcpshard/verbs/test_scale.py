from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contracts.api_client import JSON, MERGE, STRATEGIC, ApiClient
from tests.contracts.custom_types import WIDGETS, established, version, widget

PATHS = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.ready",
    "labelSelectorPath": ".status.selector",
}
SCALE = f"{WIDGETS}/a/scale"
APPLY = "application/apply-patch+yaml"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    async with established(version(subresources={"status": {}, "scale": PATHS})) as found:
        await found.create(WIDGETS, widget("a", {"replicas": 2}))
        await found.patch(f"{WIDGETS}/a/status", {"status": {"ready": 1, "selector": "x=y"}})
        yield found


def scale(replicas: Any, **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "a", **meta},
        "spec": {"replicas": replicas},
    }


async def test_what_a_scale_shows(client: ApiClient) -> None:
    found = await client.get(SCALE)
    assert (found["kind"], found["spec"], found["status"]) == (
        "Scale",
        {"replicas": 2},
        {"replicas": 1, "selector": "x=y"},
    )
    await client.patch(f"{WIDGETS}/a", {"spec": {"replicas": None}})
    reply = await client.do("GET", SCALE)
    assert (reply.code, reply.message) == (
        400,
        'the spec replicas field ".spec.replicas" does not exist',
    )


async def test_an_update_changes_replicas_alone(client: ApiClient) -> None:
    before = await client.get(f"{WIDGETS}/a")
    reply = await client.do("PUT", SCALE, scale(7, labels={"ignored": "x"}))
    assert (reply.code, reply.json["spec"]) == (200, {"replicas": 7})
    after = await client.get(f"{WIDGETS}/a")
    assert after["spec"] == {**before["spec"], "replicas": 7}
    assert (after["status"], after["metadata"]["generation"]) == (before["status"], 2)
    assert "labels" not in after["metadata"]
    assert [e["subresource"] for e in after["metadata"]["managedFields"] if "scale" in e.get("subresource", "")]


async def test_patches(client: ApiClient) -> None:
    assert (await client.patch(SCALE, {"spec": {"replicas": 3}}, MERGE))["spec"] == {"replicas": 3}
    assert (await client.get(f"{WIDGETS}/a"))["spec"]["replicas"] == 3
    assert (await client.do("PATCH", SCALE, {"spec": {"replicas": 3}}, STRATEGIC)).code == 415


async def test_apply_owns_the_replicas(client: ApiClient) -> None:
    """kube-apiserver answers 500 to every apply of a custom object's Scale."""
    refused = await client.do("PATCH", f"{SCALE}?fieldManager=m", scale(5), APPLY)
    assert (refused.code, refused.json["details"]["causes"][0]["field"]) == (409, ".spec.replicas")
    assert (await client.patch(f"{SCALE}?fieldManager=m&force=true", scale(5), APPLY))["spec"] == {"replicas": 5}
    assert (await client.patch(f"{SCALE}?fieldManager=m", scale(6), APPLY))["spec"] == {"replicas": 6}
    entries = (await client.get(f"{WIDGETS}/a"))["metadata"]["managedFields"]
    owned = {"manager": "m", "operation": "Apply", "apiVersion": "example.com/v1", "subresource": "scale"}
    (ours,) = [entry for entry in entries if entry["manager"] == "m"]
    assert {key: ours[key] for key in owned} == owned and ours["fieldsV1"] == {"f:spec": {"f:replicas": {}}}


@pytest.mark.parametrize(
    ("method", "body", "content_type"),
    [
        ("PUT", scale(4), "application/json"),
        ("PATCH", {"spec": {"replicas": 4}}, MERGE),
        ("PATCH", [{"op": "add", "path": "/spec/replicas", "value": 4}], JSON),
        ("PATCH", scale(4), APPLY),
    ],
)
async def test_who_has_said_nothing_may_be_told(client: ApiClient, method: str, body: Any, content_type: str) -> None:
    await client.patch(f"{WIDGETS}/a", {"spec": {"replicas": None}})
    for empty, kind in (({"metadata": {"labels": {"a": "b"}}}, MERGE), (scale(0) | {"spec": {}}, APPLY)):
        reply = await client.do("PATCH", f"{SCALE}?fieldManager=m", empty, kind)
        assert (reply.code, reply.message) == (400, 'the spec replicas field ".spec.replicas" cannot be empty')
    assert (await client.do(method, f"{SCALE}?fieldManager=m", body, content_type)).json["spec"] == {"replicas": 4}
    assert (await client.get(f"{WIDGETS}/a"))["spec"]["replicas"] == 4


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(scale(-1), 422, id="negative"),
        pytest.param(scale(1, resourceVersion="1"), 409, id="another resourceVersion"),
        pytest.param(scale(1, uid="x"), 409, id="another uid"),
        pytest.param(scale(1) | {"metadata": {"name": "b"}}, 400, id="another name"),
        pytest.param(scale("many"), 400, id="no number"),
    ],
)
async def test_refusals(client: ApiClient, body: Any, code: int) -> None:
    assert (await client.do("PUT", SCALE, body)).code == code
    assert (await client.get(SCALE))["spec"] == {"replicas": 2}

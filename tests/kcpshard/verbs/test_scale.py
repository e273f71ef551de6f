from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contracts.api_client import MERGE, STRATEGIC, ApiClient
from tests.contracts.custom_types import WIDGETS, established, version, widget

PATHS = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.ready",
    "labelSelectorPath": ".status.selector",
}
SCALE = f"{WIDGETS}/a/scale"


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
        500,
        'Internal error occurred: the spec replicas field ".spec.replicas" does not exist',
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


@pytest.mark.parametrize("content_type", [MERGE, STRATEGIC])
async def test_patches(client: ApiClient, content_type: str) -> None:
    assert (await client.patch(SCALE, {"spec": {"replicas": 3}}, content_type))["spec"] == {"replicas": 3}
    assert (await client.get(f"{WIDGETS}/a"))["spec"]["replicas"] == 3


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

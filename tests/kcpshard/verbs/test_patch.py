from typing import Any

import pytest

from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import CONFIGMAPS, JSON, MERGE, STRATEGIC, ApiClient, configmap

A = CONFIGMAPS + "/a"


@pytest.fixture
async def stored(client: ApiClient) -> dict[str, Any]:
    found: dict[str, Any] = await client.create(CONFIGMAPS, configmap("a", {"k": "v"}, finalizers=["x.com/a"]))
    return found


@pytest.mark.parametrize(
    ("content_type", "patch", "data"),
    [
        pytest.param(MERGE, {"data": {"n": "1"}}, {"k": "v", "n": "1"}, id="merge"),
        pytest.param(MERGE, {"data": {"k": None, "n": "1"}}, {"n": "1"}, id="merge, null"),
        pytest.param(JSON, [{"op": "move", "from": "/data/k", "path": "/data/m"}], {"m": "v"}, id="JSON"),
        pytest.param(STRATEGIC, {"data": {"$patch": "replace", "n": "1"}}, {"n": "1"}, id="strategic"),
    ],
)
async def test_patch(client: ApiClient, stored: Any, content_type: str, patch: Any, data: Any) -> None:
    reply = await client.do("PATCH", A, patch, content_type)
    assert (reply.code, reply.json["data"]) == (200, data)
    assert (await client.get(A))["data"] == data


async def test_strategic_merges_lists_by_the_kind_s_schema(client: ApiClient, stored: Any) -> None:
    found = await client.patch(A, {"metadata": {"finalizers": ["y.com/b"]}}, STRATEGIC)
    assert found["metadata"]["finalizers"] == ["y.com/b", "x.com/a"]
    assert (await client.patch(A, {"metadata": {"finalizers": []}}))["metadata"].get("finalizers") is None


@pytest.mark.parametrize(
    ("content_type", "patch", "code", "message"),
    [
        pytest.param(MERGE, "{", 400, "error decoding patch: unexpected end of JSON input", id="broken"),
        pytest.param(MERGE, "[]", 400, "json: cannot unmarshal array into Go value of type map", id="merge, array"),
        pytest.param(MERGE, "null", 400, "Invalid JSON Patch", id="merge, null"),
        pytest.param(STRATEGIC, "", 400, "unexpected end of JSON input", id="strategic, empty"),
        pytest.param(JSON, "{}", 400, "of type []handlers.jsonPatchOp", id="JSON, object"),
        pytest.param(JSON, [1], 400, "of type handlers.jsonPatchOp", id="JSON, number"),
        pytest.param(JSON, [{"op": 1}], 400, "Go struct field jsonPatchOp.op of type string", id="JSON, op"),
        pytest.param(
            JSON,
            [{"op": "test", "path": "/data/k", "value": "x"}],
            422,
            "the server rejected our request",
            id="test fails",
        ),
        pytest.param(
            JSON,
            [{"op": "test", "path": "/data/k", "value": "v"}] * 10001,
            413,
            "The allowed maximum operations in a JSON patch is 10000, got 10001",
            id="too many",
        ),
        pytest.param(MERGE, {"data": {"k": 1}}, 422, ' "" is invalid: patch: Invalid value: "{', id="type"),
        pytest.param(MERGE, {"kind": "Secret"}, 422, "converting (v1.Secret) to (core.ConfigMap)", id="kind"),
        pytest.param(MERGE, {"metadata": {"name": "b"}}, 400, "does not match the name on the URL", id="name"),
        pytest.param(
            MERGE, {"metadata": {"namespace": "b"}}, 400, "the namespace of the provided object", id="namespace"
        ),
        pytest.param(
            MERGE, {"metadata": {"uid": "b"}}, 422, 'metadata.uid: Invalid value: "b": field is immutable', id="uid"
        ),
        pytest.param(MERGE, {"metadata": {"resourceVersion": "1"}}, 409, "the object has been modified", id="version"),
    ],
)
async def test_refusals(client: ApiClient, stored: Any, content_type: str, patch: Any, code: int, message: str) -> None:
    reply = await client.do("PATCH", A, patch, content_type)
    assert reply.code == code
    assert message in reply.message
    assert await client.get(A) == stored


async def test_deep_nesting_by_a_json_patch_is_refused(client: ApiClient, stored: Any) -> None:
    steps = [{"op": "add", "path": "/data" + "/a" * n, "value": {}} for n in range(1, 150)]
    assert (await client.do("PATCH", A, steps, JSON)).code == 422


async def test_unknown_fields(client: ApiClient, stored: Any) -> None:
    assert (await client.do("PATCH", A, {"foo": 1}, MERGE)).answer.warnings == ['unknown field "foo"']
    strict = await client.do("PATCH", A + "?fieldValidation=Strict", {"foo": 1}, MERGE)
    assert (strict.code, 'strict decoding error: unknown field "foo"' in strict.message) == (422, True)


async def test_missing_and_apply(client: ApiClient, stored: Any) -> None:
    assert (await client.do("PATCH", CONFIGMAPS + "/nope", {}, MERGE)).code == 404
    forced = await client.do("PATCH", A + "?force=true", {}, MERGE)
    assert (forced.code, "may not be specified for non-apply patch" in forced.message) == (422, True)


async def test_patches_in_one_turn_all_count(client: ApiClient, stored: Any) -> None:
    for n in range(20):
        dispatch(client.shard, client.request("PATCH", A, {"data": {f"n{n}": ""}}, MERGE))
    assert len((await client.patch(A, {"data": {"last": ""}}))["data"]) == 22


async def test_dry_run(client: ApiClient, stored: Any) -> None:
    reply = await client.do("PATCH", A + "?dryRun=All", {"data": {"n": "1"}}, MERGE)
    assert reply.json["data"] == {"k": "v", "n": "1"}
    assert await client.get(A) == stored


async def test_a_subresource_is_patched_alone(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    found = await client.patch("/api/v1/namespaces/default/status", {"spec": {"finalizers": ["x.com/y"]}})
    assert found["spec"] == {"finalizers": ["kubernetes"]}

from typing import Any

import pytest

from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap

A = CONFIGMAPS + "/a"


@pytest.fixture
async def stored(client: ApiClient) -> dict[str, Any]:
    found: dict[str, Any] = await client.create(CONFIGMAPS, configmap("a", {"k": "v"}))
    return found


async def test_a_plain_object_goes_at_once(client: ApiClient, stored: Any) -> None:
    reply = await client.do("DELETE", A)
    details = {"name": "a", "kind": "configmaps", "uid": stored["metadata"]["uid"]}
    assert reply.json == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    assert reply.waited
    assert (await client.do("GET", A)).code == 404
    assert (await client.do("DELETE", A)).code == 404


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        pytest.param(
            "{", 400, "couldn't get version/kind; json parse error: unexpected end of JSON input", id="broken"
        ),
        pytest.param("[]", 400, "json: cannot unmarshal array into Go value", id="array"),
        pytest.param({"kind": "Foo", "apiVersion": "v1"}, 400, 'no kind "Foo" is registered', id="kind"),
        pytest.param({"gracePeriodSeconds": "x"}, 400, "DeleteOptions.gracePeriodSeconds of type int64", id="grace"),
        pytest.param(
            {"preconditions": {"uid": 1}}, 400, "Preconditions.preconditions.uid of type types.UID", id="uid type"
        ),
        pytest.param({"propagationPolicy": "Foo"}, 422, 'propagationPolicy: Unsupported value: "Foo"', id="policy"),
        pytest.param({"propagationPolicy": "Orphan", "orphanDependents": True}, 422, "cannot be both set", id="both"),
        pytest.param({"dryRun": ["foo"]}, 422, 'dryRun: Unsupported value: ["foo"]', id="dry run"),
        pytest.param({"preconditions": {"uid": "x"}}, 409, "the UID in the precondition (x) does not match", id="uid"),
        pytest.param(
            {"preconditions": {"resourceVersion": "1"}},
            409,
            "the ResourceVersion in the precondition (1)",
            id="version",
        ),
    ],
)
async def test_refusals(client: ApiClient, stored: Any, body: Any, code: int, message: str) -> None:
    reply = await client.do("DELETE", A, body)
    assert reply.code == code
    assert message in reply.message
    assert await client.get(A) == stored


async def test_right_preconditions(client: ApiClient, stored: Any) -> None:
    meta = stored["metadata"]
    body = {"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
    assert (await client.do("DELETE", A, body)).code == 200


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
async def test_policies_mark_and_background_removes(
    client: ApiClient, stored: Any, policy: str, finalizer: str
) -> None:
    meta = (await client.do("DELETE", A, {"propagationPolicy": policy})).json["metadata"]
    assert (meta["finalizers"], meta["deletionGracePeriodSeconds"]) == ([finalizer], 0)
    assert meta["deletionTimestamp"] == "2023-11-14T22:13:20Z"
    assert (await client.get(A))["metadata"] == meta
    assert (await client.do("DELETE", A, {"propagationPolicy": "Background"})).json["status"] == "Success"
    assert (await client.do("GET", A)).code == 404


async def test_the_old_way_to_orphan(client: ApiClient, stored: Any) -> None:
    assert (await client.do("DELETE", A, {"orphanDependents": True})).json["metadata"]["finalizers"] == ["orphan"]


async def test_finalizers_hold_an_object(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a", finalizers=["x.com/a"]))
    first = await client.do("DELETE", A)
    assert first.json["metadata"]["finalizers"] == ["x.com/a"]
    before = client.shard.store.pending_revision
    assert (await client.do("DELETE", A)).json == first.json
    assert client.shard.store.pending_revision == before


async def test_the_words_alone_hold_nothing(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a", {"finalizers": "x", "deletionTimestamp": "y"}))
    assert (await client.do("DELETE", A)).json["status"] == "Success"


async def test_dry_run(client: ApiClient, stored: Any) -> None:
    assert (await client.do("DELETE", A + "?dryRun=All")).json["status"] == "Success"
    assert (await client.do("DELETE", A, {"dryRun": ["All"], "propagationPolicy": "Orphan"})).code == 200
    assert await client.get(A) == stored


async def test_a_repeat_gets_the_first_answer(client: ApiClient, stored: Any) -> None:
    request = client.request("DELETE", A)
    request.request_id = b"0123456789abcdef"
    first = await client.send(request)
    request.repeat, request.first_sent_us = True, client.shard.now_us()
    assert (await client.send(request)).json == first.json


async def test_immortal_namespaces(client: ApiClient, stored: Any) -> None:
    for name in ("default", "kube-system", "kube-public"):
        assert (await client.do("DELETE", f"/api/v1/namespaces/{name}")).code == 403


async def test_a_namespace_terminates_until_it_is_finalized(client: ApiClient, stored: Any) -> None:
    await client.create("/api/v1/namespaces", {"metadata": {"name": "one"}})
    one = "/api/v1/namespaces/one"
    await client.create(one + "/configmaps", configmap("x"))
    reply = await client.do("DELETE", one)
    assert reply.json["status"] == {"phase": "Terminating"}
    assert "deletionTimestamp" in reply.json["metadata"]
    assert (await client.do("DELETE", one)).json == reply.json
    refused = await client.do("POST", one + "/configmaps", configmap("y"))
    assert (refused.code, refused.json["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    assert (await client.do("PUT", one + "/configmaps/x", configmap("x", {"k": "v"}))).code == 200
    assert (await client.do("PUT", one + "/finalize", {"metadata": {"name": "one"}, "spec": {}})).code == 200
    assert (await client.do("GET", one)).code == 404

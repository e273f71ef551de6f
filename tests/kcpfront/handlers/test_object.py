import json

import orjson
import pytest

from kcpshard.api.body_limit import body_too_large
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient

PATH = "/api/v1/namespaces/default/configmaps"
OBJ = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}
BODY = json.dumps(OBJ).encode()


async def test_create(client: HttpClient, router: FakeRouter) -> None:
    answer = await client.request("POST", PATH + "?dryRun=All&fieldManager=me", BODY)
    asked = router.requests[0]
    assert (answer.code, answer.json()) == (201, OBJ)
    assert (asked.verb, asked.body, asked.dry_run, asked.field_manager) == (pb.CREATE, BODY, True, "me")


async def test_duplicates_travel_along(client: HttpClient, router: FakeRouter) -> None:
    await client.request("POST", PATH, b'{"a":1,"a":2}')
    assert list(router.requests[0].duplicate_fields) == ["a"]


async def test_update(client: HttpClient, router: FakeRouter) -> None:
    await client.request("PUT", PATH + "/a", BODY)
    assert (router.requests[0].verb, router.requests[0].name) == (pb.UPDATE, "a")


async def test_patch(client: HttpClient, router: FakeRouter) -> None:
    await client.request("PATCH", PATH + "/a", b'{"x":1}', Content_Type="application/merge-patch+json")
    assert (router.requests[0].verb, router.requests[0].patch_type) == (pb.PATCH, pb.MERGE_PATCH)


async def test_a_patch_of_a_collection_is_for_the_shard_to_refuse_whatever_its_media_type(
    client: HttpClient, router: FakeRouter
) -> None:
    await client.request("PATCH", PATH, b"x", Content_Type="text/plain")
    assert (router.requests[0].verb, router.requests[0].name, router.requests[0].body) == (pb.PATCH, "", b"")


async def test_apply(client: HttpClient, router: FakeRouter) -> None:
    target = PATH + "/a?fieldManager=me&force=true"
    await client.request("PATCH", target, b"x: 1", Content_Type="application/apply-patch+yaml")
    asked = router.requests[0]
    assert (asked.patch_type, asked.body, asked.force, asked.field_manager) == (pb.APPLY, b'{"x":1}', True, "me")


@pytest.mark.parametrize(
    ("method", "verb", "target"), [("DELETE", pb.DELETE, PATH + "/a"), ("DELETE", pb.DELETE_COLLECTION, PATH)]
)
async def test_deletes(client: HttpClient, router: FakeRouter, method: str, verb: int, target: str) -> None:
    await client.request(method, target + "?propagationPolicy=Foreground&labelSelector=x")
    asked = router.requests[0]
    assert asked.verb == verb
    assert orjson.loads(asked.body)["propagationPolicy"] == "Foreground"
    assert asked.label_selector == ("x" if verb == pb.DELETE_COLLECTION else "")


async def test_delete_options_in_the_body(client: HttpClient, router: FakeRouter) -> None:
    await client.request("DELETE", PATH + "/a?gracePeriodSeconds=3", b'{"gracePeriodSeconds":5}')
    assert router.requests[0].body == b'{"gracePeriodSeconds":5}'


async def test_get_at_a_revision(client: HttpClient, router: FakeRouter) -> None:
    await client.get(PATH + "/a?resourceVersion=7")
    assert router.requests[0].resource_version == "7"


async def test_warnings_and_retry_after(client: HttpClient, router: FakeRouter) -> None:
    router.answer = lambda request: Result(429, b"{}", warnings=["one", "two"], retry_after_s=7)
    answer = await client.get(PATH + "/a")
    assert answer.headers["warning"] == '299 - "one"\n299 - "two"'
    assert answer.headers["retry-after"] == "7"


async def test_a_token_review_carries_the_verdict(client: HttpClient, router: FakeRouter) -> None:
    review = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": client.token}}
    target = "/apis/authentication.k8s.io/v1/tokenreviews"
    await client.request("POST", target, json.dumps(review).encode())
    assert orjson.loads(router.requests[0].token_review)["user"]["username"] == "ada"
    await client.request("POST", target, json.dumps(review | {"spec": {"token": "x"}}).encode())
    assert orjson.loads(router.requests[1].token_review) == {"user": {}, "error": "invalid bearer token"}
    for broken in (b"{", b"[]", b'{"spec":5}'):
        await client.request("POST", target, broken)
        assert router.requests[-1].token_review == b""


async def test_a_table_asks_for_columns(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = OBJ
    router.columns = b'[{"name":"K","type":"string","jsonPath":".kind"}]'
    answer = await client.get(PATH + "/a", Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert router.requests[0].want_columns
    assert answer.json()["rows"][0]["cells"] == ["a", "ConfigMap"]


async def test_what_a_shard_refused_for_its_size_is_refused_unread(client: HttpClient, router: FakeRouter) -> None:
    router.answer = lambda _: Result(413, body_too_large(20).body())
    for _ in range(2):
        reply = await client.request("POST", PATH, BODY)
        assert reply.code == 413
    assert len(router.requests) == 1

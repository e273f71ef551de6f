import logging

import orjson
import pytest

from kcpfront.server import Front
from kcpshard.api.errors import Forbidden, ServiceUnavailable
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient

PATH = "/api/v1/namespaces/default/configmaps"


async def test_a_bug_is_a_500_with_a_logged_traceback(
    client: HttpClient, router: FakeRouter, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(request: pb.Request) -> Result:
        raise KeyError("bug")

    router.answer = broken
    answer = await client.get(PATH + "/a")
    assert (answer.code, answer.json()["reason"]) == (500, "InternalError")
    assert "bug" not in answer.body.decode()
    record = next(r for r in caplog.records if r.levelno == logging.ERROR)
    assert record.exc_info is not None and record.__dict__["audit_id"] == answer.headers["audit-id"]
    assert front.metrics.panics == 1


async def test_an_api_error_is_its_status(client: HttpClient, router: FakeRouter) -> None:
    def unavailable(request: pb.Request) -> Result:
        raise ServiceUnavailable("no shard", retry_after_s=1)

    router.answer = unavailable
    answer = await client.get(PATH + "/a")
    assert (answer.code, answer.headers["retry-after"], answer.json()["message"]) == (503, "1", "no shard")


async def test_strangers_get_401_before_anything_is_read(client: HttpClient, router: FakeRouter) -> None:
    client.token = "wrong"
    answer = await client.request("POST", PATH, b"{")
    assert answer.code == 401
    assert answer.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }
    assert router.requests == []
    assert (await client.get("/metrics")).code == 401


async def test_strangers_may_probe_and_the_shard_judges_the_rest(client: HttpClient, router: FakeRouter) -> None:
    client.token = None
    await client.get(PATH + "/a")
    assert b"system:anonymous" in router.requests[0].identity
    assert (await client.get("/metrics")).code == 403
    assert (await client.get("/livez")).code == 200
    assert (await client.get("/version")).json()["major"] == "1"


@pytest.mark.parametrize(
    ("method", "target", "code", "reason"),
    [
        ("GET", "/api/v1/proxy/nope", 404, "NotFound"),
        ("POST", "/version", 405, "MethodNotAllowed"),
        ("GET", "/clusters/NO/api", 404, "NotFound"),
        ("GET", "/api/v1//nodes", 404, "NotFound"),
        ("OPTIONS", "/api/v1/nodes", 405, "MethodNotAllowed"),
        ("HEAD", "/api/v1/nodes/n", 405, ""),
        ("GET", "/api/v1/nodes?timeout=x", 400, "BadRequest"),
        ("GET", "/api/v1/nodes?limit=x", 400, "BadRequest"),
    ],
)
async def test_refusals(
    client: HttpClient, router: FakeRouter, method: str, target: str, code: int, reason: str
) -> None:
    answer = await client.request(method, target)
    assert answer.code == code
    if reason:
        assert answer.json()["reason"] == reason
    assert router.requests == []


async def test_header_against_path(client: HttpClient) -> None:
    answer = await client.get("/clusters/root:a/api", X_Kubernetes_Cluster="root:b")
    assert answer.code == 400


async def test_refusals_speak_yaml_too(client: HttpClient) -> None:
    answer = await client.get("/api/v1/proxy/a", Accept="application/yaml")
    assert answer.headers["content-type"] == "application/yaml"
    assert b"reason: NotFound" in answer.body


async def test_requests_are_counted(client: HttpClient, front: Front) -> None:
    await client.get(PATH + "/a")
    assert front.metrics.requests[("get", 404)] == 1
    assert b'apiserver_request_total{code="404",verb="get"} 1.0' in (await client.get("/metrics")).body


@pytest.mark.parametrize("path", ["/nope", "//api/v1/namespaces", "/clusters/root//api/v1/namespaces"])
async def test_a_path_of_nothing_is_no_page(client: HttpClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.code, answer.body) == (404, b"404 page not found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_impersonation_is_the_shards_to_decide_also_of_what_is_answered_here(
    client: HttpClient, router: FakeRouter
) -> None:
    await client.request("GET", PATH + "/a", **{"Impersonate-User": "ann"})
    assert orjson.loads(router.requests[0].impersonation)["username"] == "ann"

    def refused(request: pb.Request) -> Result:
        assert (request.verb, request.name, request.body) == (pb.AUTHORIZE, "/version", b'{"verb":"get"}')
        raise Forbidden("no")

    router.answer = refused
    assert (await client.request("GET", "/version", **{"Impersonate-User": "ann"})).code == 403

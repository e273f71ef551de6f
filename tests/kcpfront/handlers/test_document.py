import orjson

from kcpfront.protobuf.decoding import decode_object
from kcpfront.protobuf.openapi_documents import encoded
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def test_a_document_with_its_etag(client: HttpClient, router: FakeRouter) -> None:
    router.answer = lambda request: Result(200, b'{"kind":"X"}', etag="abc", content_type=AGGREGATED)
    answer = await client.get("/clusters/a/apis", Accept=f"{AGGREGATED},application/json")
    asked = router.requests[0]
    assert (asked.verb, asked.cluster, asked.name, asked.accept) == (pb.DOCUMENT, "a", "/apis", AGGREGATED)
    assert (answer.headers["etag"], answer.headers["content-type"]) == ('"abc"', AGGREGATED)
    assert answer.headers["vary"] == "Accept"


async def test_an_unchanged_document(client: HttpClient, router: FakeRouter) -> None:
    router.answer = lambda request: Result(304, b"", etag='"abc"')
    answer = await client.get("/openapi/v2", If_None_Match='"abc"')
    assert (answer.code, answer.body, answer.headers["etag"]) == (304, b"", '"abc"')
    assert router.requests[0].if_none_match == '"abc"'


async def test_documents_are_only_read(client: HttpClient, router: FakeRouter) -> None:
    for method in ("POST", "HEAD"):
        assert (await client.request(method, "/api/v1", b"{}" if method == "POST" else None)).code == 405
    assert router.requests == []


async def test_the_list_of_groups_does_not_look_at_the_method(client: HttpClient, router: FakeRouter) -> None:
    router.answer = lambda request: Result(200, b"{}")
    assert (await client.request("POST", "/apis", b"{}")).code == 200


async def test_openapi_of_nothing_is_an_empty_404(client: HttpClient, router: FakeRouter) -> None:
    router.answer = lambda request: Result(404, b"404 page not found\n", content_type="text/plain; charset=utf-8")
    found = await client.get("/openapi/v3/apis/nowhere/v1")
    assert (found.code, found.body, found.headers.get("content-type")) == (404, b"", None)


async def test_a_path_of_no_group_is_no_page(client: HttpClient, router: FakeRouter) -> None:
    router.answer = lambda request: Result(404, b"404 page not found\n", content_type="text/plain; charset=utf-8")
    for path in ("/apis/nope", "/apis/nope/v1/things/a"):
        found = await client.get(path)
        assert (found.headers["content-type"], found.body) == ("text/plain; charset=utf-8", b"404 page not found\n")


async def test_unknown_documents(client: HttpClient, router: FakeRouter) -> None:
    router.answer = lambda request: Result(404, b'{"kind":"Status","code":404}')
    assert (await client.get("/apis/nope")).code == 404


async def test_the_root_lists_the_groups(client: HttpClient, router: FakeRouter) -> None:
    groups = {"items": [{"metadata": {"name": "apps"}, "versions": [{"version": "v1"}]}]}
    router.answer = lambda request: Result(200, orjson.dumps(groups))
    paths = (await client.get("/")).json()["paths"]
    assert "/apis/apps/v1" in paths and "/api/v1" in paths and "/readyz/shard-map" in paths


async def test_discovery_in_protobuf(client: HttpClient, router: FakeRouter) -> None:
    found = {"kind": "APIVersions", "apiVersion": "", "versions": ["v1"]}
    router.answer = lambda request: Result(200, orjson.dumps(found), etag="abc")
    answer = await client.get("/api", Accept="application/vnd.kubernetes.protobuf")
    assert answer.headers["content-type"] == "application/vnd.kubernetes.protobuf"
    assert decode_object(answer.body) == found
    assert router.requests[0].accept == "application/json"


async def test_openapi_in_protobuf_is_made_once(client: HttpClient, router: FakeRouter) -> None:
    document = b'{"swagger":"2.0","info":{"title":"Kubernetes","version":"v1"},"paths":{}}'
    router.answer = lambda request: Result(200, document, etag='"abc"')
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    for _ in range(2):
        found = await client.get("/openapi/v2", Accept=accept)
        assert found.headers["content-type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
        assert found.body == encoded(document)
    assert router.requests[0].accept == "application/json"

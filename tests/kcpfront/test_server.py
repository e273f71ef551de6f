from kcpfront.server import Front
from kcpshard.rpc import shard_pb2 as pb
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient

CONFIG_MAP = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "default"}}


async def test_a_get_reaches_the_router_and_comes_back_untouched(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = CONFIG_MAP
    answer = await client.get("/clusters/root:org/api/v1/namespaces/default/configmaps/a", User_Agent="t/1")
    assert (answer.code, answer.json()) == (200, CONFIG_MAP)
    asked = router.requests[0]
    assert (asked.verb, asked.cluster, asked.namespace, asked.name) == (pb.GET, "root:org", "default", "a")
    assert asked.user_agent == "t/1"
    assert b'"ada"' in asked.identity
    assert len(answer.headers["audit-id"]) == 36
    assert answer.headers["cache-control"] == "no-cache, private"


async def test_one_connection_serves_many_requests(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = CONFIG_MAP
    for _ in range(5):
        assert (await client.get("/api/v1/namespaces/default/configmaps/a")).code == 200
    assert client.opened == 1


async def test_a_watch_hands_its_connection_back(client: HttpClient, router: FakeRouter, front: Front) -> None:
    router.objects["a"] = CONFIG_MAP
    await client.send("GET", "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=5")
    head = await client.head()
    assert head.code == 200 and head.headers["transfer-encoding"] == "chunked"
    watch = router.watches[0]
    watch.give(1, 7, CONFIG_MAP)
    assert (await client.chunk()).startswith(b'{"type":"ADDED","object":{"kind":"ConfigMap"')
    watch.sink.ended(b'{"kind":"Status","code":410}')
    assert await client.chunk() == b'{"type":"ERROR","object":{"kind":"Status","code":410}}\n'
    assert await client.chunk() == b""
    assert watch.closed and len(front.open_watches) == 0
    assert (await client.get("/api/v1/namespaces/default/configmaps/a")).code == 200
    assert client.opened == 1

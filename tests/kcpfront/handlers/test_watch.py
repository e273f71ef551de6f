import asyncio
import json
from typing import Any

import pytest

from kcpfront.protobuf.objects import encode_event, encode_object
from kcpfront.server import Front
from tests.kcpfront.fake_router import FakeRouter, FakeWatch
from tests.kcpfront.http_client import HttpClient

OBJ = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "7"}}
PATH = "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=5"
REVISION = 1_700_000_000_000_000_001


async def begin(client: HttpClient, router: FakeRouter, more: str = "", **headers: str) -> FakeWatch:
    await client.send("GET", PATH + more, **headers)
    head = await client.head()
    assert (head.code, head.headers["transfer-encoding"]) == (200, "chunked")
    return router.watches[-1]


async def line(client: HttpClient) -> Any:
    async with asyncio.timeout(60):
        return json.loads(await client.chunk())


async def test_events_arrive_in_order(client: HttpClient, router: FakeRouter) -> None:
    watch = await begin(client, router)
    for type_ in (1, 2, 3):
        watch.give(type_, REVISION + type_, OBJ)
    assert [(await line(client))["type"] for _ in range(3)] == ["ADDED", "MODIFIED", "DELETED"]


async def test_the_head_waits_for_the_shard(client: HttpClient, router: FakeRouter) -> None:
    router.accept_watches = False
    asking = asyncio.ensure_future(client.get(PATH))  # noqa: TID251
    while not router.watches:
        await asyncio.sleep(0.001)
    router.watches[0].sink.ended(b'{"kind":"Status","code":404,"message":"no such type"}')
    answer = await asking
    assert (answer.code, answer.json()["message"]) == (404, "no such type")
    assert router.watches[0].closed


async def test_events_before_the_head_is_out_are_kept(client: HttpClient, router: FakeRouter) -> None:
    router.accept_watches = False
    await client.send("GET", PATH)
    while not router.watches:
        await asyncio.sleep(0.001)
    watch = router.watches[0]
    watch.accept()
    watch.give(1, REVISION, OBJ)
    watch.sink.ended(b'{"code":410}')
    assert (await client.head()).code == 200
    assert [(await line(client))["type"] for _ in range(2)] == ["ADDED", "ERROR"]


async def test_a_watch_nobody_accepts_times_out(
    client: HttpClient, router: FakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kcpfront.handler_chain.request_timeout_s", lambda info: 0.05)
    router.accept_watches = False
    answer = await client.get(PATH)
    assert (answer.code, answer.json()["reason"]) == (504, "Timeout")
    assert router.watches[0].closed


async def test_it_ends_after_its_time_and_the_connection_lives_on(client: HttpClient, router: FakeRouter) -> None:
    watch = await begin(client, router, "&timeoutSeconds=1")
    async with asyncio.timeout(60):
        assert await client.chunk() == b""
    assert watch.closed
    router.objects["a"] = OBJ
    assert (await client.get("/api/v1/namespaces/default/configmaps/a")).code == 200
    assert client.opened == 1


async def test_a_request_sent_too_early_is_answered_afterwards(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = OBJ
    watch = await begin(client, router)
    await client.send("GET", "/api/v1/namespaces/default/configmaps/a")
    await asyncio.sleep(0.05)
    watch.sink.ended(b'{"code":410}')
    assert (await line(client))["type"] == "ERROR"
    assert await client.chunk() == b""
    assert (await client.receive()).json() == OBJ


async def test_a_client_that_leaves_closes_its_watch(client: HttpClient, router: FakeRouter, front: Front) -> None:
    watch = await begin(client, router)
    assert len(front.open_watches) == 1
    client.close()
    async with asyncio.timeout(60):
        while not watch.closed:
            await asyncio.sleep(0.005)
    assert len(front.open_watches) == 0


async def test_bookmarks_come_with_the_wheel(client: HttpClient, router: FakeRouter, front: Front) -> None:
    object.__setattr__(front.settings, "bookmark_s", 1)
    watch = await begin(client, router, "&allowWatchBookmarks=true")
    watch.revision = REVISION
    found = await line(client)
    assert (found["type"], found["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
    assert found["object"]["metadata"]["resourceVersion"] == str(REVISION)


async def test_the_end_of_the_initial_events(client: HttpClient, router: FakeRouter) -> None:
    asked = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    watch = await begin(client, router, asked)
    watch.give(1, REVISION, OBJ)
    watch.sink.initial_done(REVISION)
    assert (await line(client))["type"] == "ADDED"
    found = await line(client)
    assert found["type"] == "BOOKMARK"
    assert found["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_no_bookmark_unless_asked_for(client: HttpClient, router: FakeRouter) -> None:
    watch = await begin(client, router)
    watch.sink.initial_done(REVISION)
    watch.give(1, REVISION, OBJ)
    assert (await line(client))["type"] == "ADDED"


async def test_tables_bring_the_crds_columns(client: HttpClient, router: FakeRouter) -> None:
    router.columns = b'[{"name":"Kind","type":"string","jsonPath":".kind"}]'
    watch = await begin(client, router, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert watch.start.want_columns
    watch.give(1, REVISION, OBJ)
    assert (await line(client))["object"]["rows"][0]["cells"] == ["a", "ConfigMap"]


async def test_a_slow_client_pauses_its_watch_and_is_cut_when_that_is_not_enough(
    client: HttpClient, router: FakeRouter, front: Front
) -> None:
    watch = await begin(client, router)
    big = OBJ | {"data": {"x": "y" * 1_000_000}}
    async with asyncio.timeout(60):
        while not watch.paused:
            watch.give(2, REVISION, big)
            await asyncio.sleep(0)
        while not watch.closed:  # a sink that goes on being given events all the same
            watch.give(2, REVISION, big)
            await asyncio.sleep(0)
    assert front.metrics.slow_watches_cut == 1


async def test_a_client_that_reads_on_resumes_its_watch(client: HttpClient, router: FakeRouter) -> None:
    watch = await begin(client, router)
    given = 0
    async with asyncio.timeout(60):
        while not watch.paused:
            watch.give(2, REVISION, OBJ | {"data": {"x": "y" * 1_000_000}})
            given += 1
            await asyncio.sleep(0)
        for _ in range(given):
            await client.chunk()
        while watch.paused:
            await asyncio.sleep(0.001)


async def test_a_stopping_front_ends_watches_with_their_last_chunk(
    client: HttpClient, router: FakeRouter, front: Front
) -> None:
    watch = await begin(client, router)
    watch.give(1, REVISION, OBJ)
    await front.stop()
    assert (await line(client))["type"] == "ADDED"
    assert await client.chunk() == b""
    assert client.reader is not None and await client.reader.read() == b""
    assert watch.closed


async def test_http_close_is_honoured(client: HttpClient, router: FakeRouter) -> None:
    watch = await begin(client, router, Connection="close")
    watch.sink.ended(b'{"code":410}')
    assert (await line(client))["type"] == "ERROR"
    assert await client.chunk() == b""
    assert client.reader is not None and await client.reader.read() == b""


async def test_bad_options_are_refused_before_anything_starts(client: HttpClient, router: FakeRouter) -> None:
    for more, code in (("&timeoutSeconds=x", 400), ("&sendInitialEvents=true", 422)):
        assert (await client.get(PATH + more)).code == code
    assert (await client.get(PATH, Accept="application/yaml")).code == 406
    assert router.watches == []


async def test_protobuf(client: HttpClient, router: FakeRouter) -> None:
    await client.send("GET", PATH, Accept="application/vnd.kubernetes.protobuf")
    head = await client.head()
    assert head.headers["content-type"] == "application/vnd.kubernetes.protobuf;stream=watch"
    router.watches[-1].give(1, REVISION, OBJ)
    async with asyncio.timeout(60):
        frame = await client.chunk()
    assert frame == encode_event("ADDED", encode_object(OBJ))


async def test_the_events_of_one_revision_are_one_write(client: HttpClient, router: FakeRouter) -> None:
    watch = await begin(client, router)
    for number in range(100):
        watch.give(1, REVISION + (number if number < 60 else 60), OBJ | {"number": number})
    await asyncio.sleep(0)
    assert not getattr(watch.sink, "pending", None)
    assert [(await line(client))["object"]["number"] for _ in range(100)] == [*range(100)]


async def test_a_burst_is_written_in_slices(client: HttpClient, router: FakeRouter) -> None:
    watch = await begin(client, router)
    for number in range(200):
        watch.give(1, REVISION + number, OBJ | {"number": number})
    watch.sink.ended(b'{"code":410}')
    for left in (136, 72, 8):
        await asyncio.sleep(0)
        assert len(getattr(watch.sink, "pending", None) or ()) == left
    found = [await line(client) for _ in range(201)]
    assert [event["object"].get("number") for event in found] == [*range(200), None]
    assert found[-1]["type"] == "ERROR"

import asyncio
import logging
import socket

import pytest

from kcpfront.server import Front
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient

PATH = "/api/v1/namespaces/default/configmaps"
OBJ = {"kind": "ConfigMap"}


async def test_pipelined_requests_are_answered_in_order(client: HttpClient, router: FakeRouter) -> None:
    router.objects |= {"a": {"n": 1}, "b": {"n": 2}}
    await client.send("GET", PATH + "/a")
    await client.send("GET", PATH + "/b")
    assert [(await client.receive()).json()["n"] for _ in range(2)] == [1, 2]


async def test_a_chunked_body(client: HttpClient, router: FakeRouter) -> None:
    await client.send("POST", PATH, None, Transfer_Encoding="chunked", Content_Type="application/json")
    assert client.writer is not None
    client.writer.write(b'5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n')
    assert (await client.receive()).json() == {"a": 1}


async def test_the_client_may_wait_for_100(client: HttpClient) -> None:
    await client.send("POST", PATH, None, Expect="100-continue", Content_Length="2")
    assert (await client.head()).code == 100
    assert client.writer is not None
    client.writer.write(b"{}")
    assert (await client.receive()).code == 201


async def test_a_declared_large_body_is_refused_unread(client: HttpClient, router: FakeRouter) -> None:
    await client.send("POST", PATH, None, Content_Length="3145729")
    answer = await client.receive()
    assert (answer.code, answer.headers["connection"]) == (413, "close")
    assert answer.json()["message"] == "Request entity too large: limit is 3145728"
    assert router.requests == []


async def test_an_undeclared_large_body_is_cut_off(client: HttpClient) -> None:
    await client.send("POST", PATH, None, Transfer_Encoding="chunked")
    assert client.writer is not None
    for _ in range(4):
        client.writer.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
    assert (await client.receive()).code == 413


async def test_a_client_that_leaves_takes_its_request_along(client: HttpClient, router: FakeRouter) -> None:
    router.delay = asyncio.Event()
    await client.send("GET", PATH + "/a")
    while not router.requests:
        await asyncio.sleep(0.001)
    client.close()
    async with asyncio.timeout(60):
        while not router.cancelled:
            await asyncio.sleep(0.005)


async def test_connection_close_is_honoured(client: HttpClient, router: FakeRouter) -> None:
    answer = await client.get(PATH + "/a", Connection="close")
    assert answer.headers["connection"] == "close"
    assert client.reader is not None and await client.reader.read() == b""


async def test_head_of_a_probe(client: HttpClient) -> None:
    answer = await client.request("HEAD", "/readyz")
    assert (answer.code, answer.headers["content-length"], answer.body) == (200, "2", b"")
    assert (await client.get("/readyz")).body == b"ok"


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        pytest.param(b"NONSENSE\r\n\r\n", b'"reason":"MethodNotAllowed"', id="no request"),
        pytest.param(b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", b'"reason":"MethodNotAllowed"', id="unknown method"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000 + b"\r\n\r\n", b"431 Request", id="header too long"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"400 Bad Request",
            id="two lengths",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400 Bad Request",
            id="length and chunks",
        ),
    ],
)
async def test_broken_requests_reach_nobody(
    client: HttpClient, router: FakeRouter, raw: bytes, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(raw)
    async with asyncio.timeout(60):
        heard = await reader.read()  # to the end: the connection is closed
    assert answer in heard.rpartition(b"\r\n")[2]
    assert b"NONSENSE" not in heard  # nothing is echoed
    writer.close()
    assert router.requests == []


async def test_requests_in_flight_finish_when_the_front_stops(
    client: HttpClient, router: FakeRouter, front: Front
) -> None:
    router.objects["a"] = OBJ
    router.delay = asyncio.Event()
    await client.send("GET", PATH + "/a")
    while not router.requests:
        await asyncio.sleep(0.001)
    stopping = asyncio.ensure_future(front.stop())  # noqa: TID251
    await asyncio.sleep(0.02)
    with pytest.raises(OSError):
        socket.create_connection((client.host, client.port), timeout=1).close()
    router.delay.set()
    assert (await client.receive()).json() == OBJ
    await stopping


async def test_a_strangers_large_body_is_refused_before_it_is_read(client: HttpClient, router: FakeRouter) -> None:
    client.token = None
    path = "/api/v1/namespaces/default/configmaps"
    # Neither the body nor a wish for it follows: the declared length is enough.
    await client.send("POST", path, Content_Length="3000000", Content_Type="application/json", Expect="100-continue")
    answer = await client.receive()
    assert (answer.code, answer.headers["connection"]) == (401, "close")
    assert not router.requests

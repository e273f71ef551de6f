"""The bytes of a connection that the shard has offered: upgrades raw, everything else framed anew."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from kcpfront.credential_files import CredentialFiles
from kcpfront.handlers.connecting import USE_CONNECTION
from kcpfront.server import Front
from kcpfront.settings import Settings
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Connection, Result
from tests.kcpfront.conftest import TOKEN, TOKEN_LINE
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient

EXEC = "/clusters/a/api/v1/namespaces/default/pods/web/exec?command=sh"
LOG = "/clusters/a/api/v1/namespaces/default/pods/web/log"
UPGRADE = {"Connection": "keep-alive, Upgrade", "Upgrade": "websocket"}


class Backend:
    """What is behind the offer."""

    def __init__(self) -> None:
        self.head = b""
        self.asked: dict[str, Any] = {}
        self.got = b""
        self.error: Exception | None = None
        self.gives: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.answers(200, [["Content-Type", "text/plain"]])

    def answers(self, code: int, headers: list[list[str]]) -> None:
        self.head = orjson.dumps({"code": code, "headers": headers})

    async def connect(self, shard: int, ticket: bytes, head: bytes, deadline: float) -> Connection:
        assert (shard, ticket) == (3, b"ticket")
        if self.error is not None:
            raise self.error
        self.asked = orjson.loads(head)
        return self

    async def read(self) -> bytes:
        found = await self.gives.get()
        if isinstance(found, Exception):
            raise found
        return found

    async def write(self, data: bytes) -> None:
        self.got += data
        await self.gives.put(data.upper())

    async def close(self) -> None:
        self.closed.set()


def offered(_request: pb.Request) -> Result:
    return Result(USE_CONNECTION, orjson.dumps({"shard": 3, "ticket": b"ticket".hex()}))


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
async def client(router: FakeRouter, backend: Backend, tmp_path: Path) -> AsyncIterator[HttpClient]:
    (tmp_path / "tokens.csv").write_text(TOKEN_LINE)
    files = CredentialFiles(tmp_path, tmp_path / "tokens.csv")
    router.answer = offered
    front = Front(router, router, files, Settings(drain_s=2.0), tls=False, connector=backend)
    made = HttpClient("127.0.0.1", await front.start("127.0.0.1", 0), TOKEN)
    yield made
    made.close()
    await front.stop()


async def test_an_upgrade_is_relayed_once_it_is_agreed_to(client: HttpClient, backend: Backend) -> None:
    answered = [["Upgrade", "websocket"], ["Sec-WebSocket-Accept", "x"], ["Set-Cookie", "of another server"]]
    backend.answers(101, [*answered, ["Sec-WebSocket-Protocol", "v5.channel.k8s.io"]])
    protocols = "base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io"
    await client.send("GET", EXEC, **UPGRADE, Sec_WebSocket_Protocol=protocols, Sec_WebSocket_Key="k", Cookie="c")
    head = await client.head()
    assert (head.code, head.headers["upgrade"], head.headers["sec-websocket-protocol"]) == (
        101,
        "websocket",
        "v5.channel.k8s.io",
    )
    assert "set-cookie" not in head.headers
    sent = {name.lower(): value for name, value in backend.asked["headers"]}
    assert sent == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-protocol": "v5.channel.k8s.io",
        "sec-websocket-key": "k",
    }
    assert client.writer is not None and client.reader is not None
    client.writer.write(b"get / http/1.1\r\n\r\n")
    assert await client.reader.readexactly(18) == b"GET / HTTP/1.1\r\n\r\n"
    client.writer.close()
    async with asyncio.timeout(20):
        await backend.closed.wait()


async def test_what_is_behind_a_request_to_upgrade_waits_for_the_answer(client: HttpClient, backend: Backend) -> None:
    backend.answers(403, [["Content-Type", "application/json"]])
    await client.send("GET", EXEC, **UPGRADE)
    assert client.writer is not None and client.reader is not None
    client.writer.write(b"DELETE /clusters/a/api/v1/namespaces/default HTTP/1.1\r\nHost: x\r\n\r\n")
    await backend.gives.put(b"{}")
    await backend.gives.put(b"")
    answer = await client.receive()
    assert (answer.code, answer.body, answer.headers["connection"]) == (403, b"{}", "close")
    assert await client.reader.read() == b""
    assert backend.got == b""


async def test_a_body_and_an_upgrade_do_not_go_together(client: HttpClient, backend: Backend) -> None:
    answer = await client.request("POST", EXEC, b"x", **UPGRADE)
    assert (answer.code, backend.asked) == (400, {})


@pytest.mark.parametrize("upgrade", [{}, UPGRADE])
async def test_a_switch_that_nobody_asked_for(client: HttpClient, backend: Backend, upgrade: dict[str, str]) -> None:
    backend.answers(101, [["Upgrade", "h2c"]])
    answer = await client.get(EXEC, **upgrade)
    assert (answer.code, answer.json()["reason"]) == (503, "ServiceUnavailable")


async def test_a_log_is_framed_and_followed(client: HttpClient, backend: Backend) -> None:
    await client.send("GET", LOG)
    await backend.gives.put(b"one\n")
    head = await client.head()
    assert (head.code, head.headers["content-type"], head.headers["connection"]) == (200, "text/plain", "close")
    assert await client.chunk() == b"one\n"
    await backend.gives.put(b"two\n")
    assert await client.chunk() == b"two\n"
    await backend.gives.put(b"")
    assert await client.chunk() == b""


async def test_a_log_that_breaks_has_no_last_chunk(client: HttpClient, backend: Backend) -> None:
    await client.send("GET", LOG)
    await client.head()
    await backend.gives.put(b"one\n")
    assert await client.chunk() == b"one\n"
    await backend.gives.put(ServiceUnavailable("it broke"))
    with pytest.raises(ConnectionError):
        await client.chunk()


async def test_a_reader_that_leaves_a_quiet_log_is_noticed(client: HttpClient, backend: Backend) -> None:
    await client.send("GET", LOG)
    await client.head()
    client.close()
    async with asyncio.timeout(20):
        await backend.closed.wait()


async def test_a_cluster_that_is_away(client: HttpClient, backend: Backend) -> None:
    backend.error = ServiceUnavailable("the cluster east is not connected", retry_after_s=5)
    answer = await client.get(LOG)
    assert (answer.code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["message"] == "the cluster east is not connected"

"""Upgraded connections over real gRPC on a unix socket."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import pytest

from kcpshard.api.errors import ServiceUnavailable, Timeout
from kcpshard.api.requests import Answer, ListInfo
from kcpshard.callouts.upstream import Upstream
from kcpshard.execution import Execution
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.client import ShardClient
from kcpshard.rpc.contract import Result, Upgraded
from kcpshard.rpc.transport import SERVER_OPTIONS, dial, listen
from kcpshard.service import SessionService
from kcpshard.upgraded_requests import UpgradeService, Upstreams
from kcpshard.verbs.outcome import NotOwned, Outcome


class Echo:
    """A far side that says what it hears."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_closed = False

    async def write(self, data: bytes) -> None:
        await self._heard.put(data)

    def close(self) -> None:
        self.is_closed = True
        self._heard.put_nowait(b"")

    async def pieces(self) -> AsyncIterator[bytes]:
        while data := await self._heard.get():
            yield data


class Verbs:
    def __init__(self) -> None:
        self.upstreams: Upstreams = {}
        self.echo = Echo()

    def dispatch(self, request: pb.Request) -> Outcome:
        match request.name:
            case "elsewhere":
                raise NotOwned(7)
            case "never":
                return self._wait()
            case "broken":
                return self._talk(self.upstreams[request.request_id], breaks=True)
        return self._talk(self.upstreams[request.request_id])

    async def _wait(self) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async def _talk(self, upstream: Upstream, breaks: bool = False) -> AsyncIterator[Answer]:
        yield Answer(200, b"", head=b'{"code":101}', audit=b"{}")
        if breaks:
            raise ServiceUnavailable("broken")
        upstream.join(self.echo)
        async for piece in self.echo.pieces():
            yield Answer(0, piece)
        yield Answer(0, b"", ListInfo(0, "", -1, "", ""))


@asynccontextmanager
async def serving(verbs: Verbs, protocol: int = 1) -> AsyncIterator[tuple[ShardClient, UpgradeService]]:
    def hello() -> pb.Hello:
        return pb.Hello(protocol=protocol, process="shard-5", shard=5)

    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with asyncio.TaskGroup() as tasks:
            execution = Execution(verbs.dispatch, tasks)
            upgrades = UpgradeService(execution, verbs.upstreams, hello)
            server = grpc.aio.server(options=SERVER_OPTIONS)
            SessionService(execution, hello, upgrades).add_to(server)
            listen(server, f"unix:{directory}/s")
            await server.start()
            client = ShardClient("front-1", lambda: dial(f"unix:{directory}/s", None))
            running = tasks.create_task(client.run())
            try:
                yield client, upgrades
            finally:
                running.cancel()
                await server.stop(None)
                execution.close()


def soon(seconds: float = 20) -> float:
    return asyncio.get_running_loop().time() + seconds


def request(name: str = "") -> pb.Request:
    return pb.Request(verb=pb.FORWARD, name=name, timeout_ms=60_000)


async def connected(client: ShardClient, name: str = "") -> Upgraded:
    found = await client.connect(request(name), soon())
    assert not isinstance(found, Result)
    return found


async def test_bytes_go_both_ways_until_the_client_ends() -> None:
    verbs = Verbs()
    async with serving(verbs) as (client, upgrades):
        call = await connected(client)
        assert call.head == b'{"code":101}' and call.audit == b"{}"
        for data in (b"one", b"x" * 300_000):
            await call.write(data)
            assert await call.read() == data
        await call.write(b"last")
        await call.end()
        assert [await call.read(), await call.read()] == [b"last", b""]
        call.close()
        assert verbs.echo.is_closed
        while len(upgrades):
            await asyncio.sleep(0.01)
        assert not verbs.upstreams


async def test_a_client_that_leaves_ends_the_far_side() -> None:
    verbs = Verbs()
    async with serving(verbs) as (client, upgrades):
        call = await connected(client)
        await call.write(b"a")
        assert await call.read() == b"a"
        call.close()
        while not verbs.echo.is_closed or len(upgrades):
            await asyncio.sleep(0.01)
        with pytest.raises(ConnectionError):
            await call.write(b"b")


async def test_a_shard_that_stops_ends_the_connection() -> None:
    verbs = Verbs()
    async with serving(verbs) as (client, upgrades):
        call = await connected(client)
        upgrades.close()
        assert await call.read() == b""
        call.close()


async def test_a_break_is_none_of_the_bytes() -> None:
    async with serving(Verbs()) as (client, _):
        call = await connected(client, "broken")
        with pytest.raises(ConnectionError):
            await call.read()
        call.close()


async def test_another_shard_is_named_as_of_any_request() -> None:
    async with serving(Verbs()) as (client, _):
        found = await client.connect(request("elsewhere"), soon())
        assert isinstance(found, Result) and found.code == 421 and found.moved_to == 7


async def test_an_answer_has_a_deadline() -> None:
    async with serving(Verbs()) as (client, upgrades):
        with pytest.raises(Timeout):
            await client.connect(request("never"), soon(0.2))
        while len(upgrades):
            await asyncio.sleep(0.01)


async def test_a_shard_of_another_protocol_is_not_spoken_to() -> None:
    async with serving(Verbs(), protocol=9) as (client, _):
        with pytest.raises(ServiceUnavailable):
            await client.connect(request(), soon())


async def test_a_shard_that_is_not_there_is_unavailable() -> None:
    client = ShardClient("front-1", lambda: dial("unix:/nowhere/s", None))
    with pytest.raises(ServiceUnavailable):
        await client.connect(request(), soon())

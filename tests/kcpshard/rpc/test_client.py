"""The shard client over real gRPC on a unix socket: the contract of every Caller, breaks, repeats, credits."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import pytest

from kcpshard.api.errors import ServiceUnavailable, Timeout, TooManyRequests
from kcpshard.execution import Execution
from kcpshard.rpc import lane
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.client import ShardClient
from kcpshard.rpc.contract import Result
from kcpshard.rpc.transport import SERVER_OPTIONS, dial, listen
from kcpshard.service import SessionService
from tests.contracts.caller import CallerContract, request, soon, until
from tests.contracts.scripted_verbs import ScriptedVerbs


@pytest.fixture
def address() -> "object":
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # short: a socket's path has 107 bytes
        yield f"unix:{directory}/s"


@asynccontextmanager
async def serving(
    verbs: ScriptedVerbs, address: str, credits: int = 4, protocol: int = 1
) -> AsyncIterator[SessionService]:
    def hello() -> pb.Hello:
        return pb.Hello(protocol=protocol, process="shard-5", shard=5, credits_per_cluster=credits)

    async with asyncio.TaskGroup() as tasks:
        execution = Execution(verbs.dispatch, tasks)
        service = SessionService(execution, hello)
        server = grpc.aio.server(options=SERVER_OPTIONS)
        service.add_to(server)
        listen(server, address)
        await server.start()
        try:
            yield service
        finally:
            await server.stop(None)
            verbs.gate.set()
            execution.close()


@asynccontextmanager
async def asking(address: str) -> AsyncIterator[ShardClient]:
    async with asyncio.TaskGroup() as tasks:
        client = ShardClient("front-1", lambda: dial(address, None))
        running = tasks.create_task(client.run())
        try:
            yield client
        finally:
            running.cancel()


@pytest.fixture
async def verbs() -> ScriptedVerbs:
    return ScriptedVerbs()


class TestShardClient(CallerContract):
    @pytest.fixture
    async def caller(self, verbs: ScriptedVerbs, address: str) -> AsyncIterator[ShardClient]:
        async with serving(verbs, address, credits=128), asking(address) as client:
            yield client


async def test_calls_made_before_the_connection_wait_for_it(verbs: ScriptedVerbs, address: str) -> None:
    async with asking(address) as client:
        call = client.call(request("echo", body=b"{}"), soon())
        async with serving(verbs, address):
            assert await call == Result(200, b"{}")
            assert client.shard == 5


async def test_a_restart_is_invisible_to_reads_and_writes(verbs: ScriptedVerbs, address: str) -> None:
    verbs.syncs_at_once = False
    async with asking(address) as client:
        async with serving(verbs, address):
            await client.wait_until_connected()
            read, write = client.call(request("slow"), soon()), client.call(request("write", pb.CREATE, b"{}"), soon())
            listing = client.list(request("slow", pb.LIST), soon())
            await until(lambda: len(verbs.requests) == 3)
        verbs.gate.set()
        async with serving(verbs, address):
            assert (await read).code == 200
            assert await write == Result(201, b'{"recorded":true}')
            assert not isinstance(await listing, Result)
    assert list(verbs.recorded.values()) == [1]
    again = [r for r in verbs.requests if r.verb == pb.CREATE][1]
    assert again.repeat
    assert again.first_sent_us > 0
    assert not any(r.repeat for r in verbs.requests if r.verb != pb.CREATE)


async def test_a_repeat_joins_the_first_that_still_runs_on_a_dead_stream(verbs: ScriptedVerbs, address: str) -> None:
    async with serving(verbs, address):
        async with asking(address) as client:
            await client.wait_until_connected()
            first = request("slowwrite", pb.CREATE, b"{}")
            lost = client.call(first, soon())
            await until(lambda: verbs.started == 1)
        with pytest.raises(ServiceUnavailable):
            await lost
        assert verbs.cancelled == 0  # the stream's end does not stop a write
        async with asking(address) as client:
            first.repeat, first.first_sent_us = True, 1
            again = client.call(first, soon())
            await client.call(request("echo"), soon())
            verbs.gate.set()
            assert (await again).code == 201
    assert (verbs.started, list(verbs.recorded.values())) == (1, [1])


async def test_the_end_of_a_stream_stops_its_reads(verbs: ScriptedVerbs, address: str) -> None:
    async with serving(verbs, address):
        async with asking(address) as client:
            await client.wait_until_connected()
            lost = client.call(request("slow"), soon())
            await until(lambda: verbs.started == 1)
        await until(lambda: verbs.cancelled == 1)
        with pytest.raises(ServiceUnavailable):
            await lost


async def test_a_list_cut_in_the_middle_is_unavailable(verbs: ScriptedVerbs, address: str) -> None:
    async with asking(address) as client:
        async with serving(verbs, address):
            stream = await client.list(request("pieces:100:1000", pb.LIST), soon())
            assert not isinstance(stream, Result)
        with pytest.raises(ServiceUnavailable):
            async for _piece in stream:
                pass
        async with serving(verbs, address):
            assert (await client.call(request("echo"), soon())).code == 200


async def test_large_bodies_survive_a_restart(verbs: ScriptedVerbs, address: str) -> None:
    body = os.urandom(2_000_000)
    async with asking(address) as client:
        async with serving(verbs, address):
            await client.wait_until_connected()
            call = client.call(request("slow", pb.UPDATE, body), soon())
            await until(lambda: verbs.started == 1)
        verbs.gate.set()
        async with serving(verbs, address):
            assert (await call).body == body


async def test_credits_bound_what_one_logical_cluster_has_in_flight(verbs: ScriptedVerbs, address: str) -> None:
    async with serving(verbs, address, credits=4), asking(address) as client:
        await client.wait_until_connected()
        client._credits.queue_limit = 3
        calls = [client.call(request("slow"), soon()) for _ in range(8)]
        await until(lambda: verbs.started == 4)
        with pytest.raises(TooManyRequests) as refused:
            await calls[7]
        assert refused.value.retry_after_s == 1
        other = request("echo")
        other.cluster = "root:b"
        assert (await client.call(other, soon())).code == 200
        assert verbs.started == 4
        verbs.gate.set()
        assert [(await call).code for call in calls[:7]] == [200] * 7
        assert client.statistics().unanswered == 0


async def test_waiting_for_a_credit_ends_with_the_deadline(verbs: ScriptedVerbs, address: str) -> None:
    async with serving(verbs, address, credits=1), asking(address) as client:
        await client.wait_until_connected()
        first, second = client.call(request("slow"), soon()), client.call(request("slow"), soon(0.1))
        with pytest.raises(Timeout):
            await second
        verbs.gate.set()
        assert (await first).code == 200
        assert verbs.started == 1


async def test_an_unreachable_shard_fails_reads_but_not_writes_that_may_have_arrived(
    verbs: ScriptedVerbs, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "PATIENCE_S", 0.2)
    verbs.syncs_at_once = False
    async with asking(address) as client:
        async with serving(verbs, address):
            await client.wait_until_connected()
            read, write = client.call(request("slow"), soon()), client.call(request("write", pb.CREATE), soon())
            await until(lambda: len(verbs.requests) == 2)
        with pytest.raises(ServiceUnavailable):
            await read
        with pytest.raises(ServiceUnavailable):
            await client.call(request("echo"), soon())
        async with serving(verbs, address):
            assert (await write).code == 201
            assert (await client.call(request("echo"), soon())).code == 200


async def test_a_stranger_protocol_is_refused_with_a_reason(verbs: ScriptedVerbs, address: str) -> None:
    async with serving(verbs, address, protocol=3), asking(address) as client:
        with pytest.raises(ServiceUnavailable, match="speaks protocol 3"):
            await client.call(request("echo"), soon())


async def test_a_neighbouring_protocol_is_fine(verbs: ScriptedVerbs, address: str) -> None:
    async with serving(verbs, address, protocol=2), asking(address) as client:
        assert (await client.call(request("echo"), soon())).code == 200


async def test_draining_answers_what_was_taken_and_leaves_the_rest(verbs: ScriptedVerbs, address: str) -> None:
    async with asking(address) as client:
        async with serving(verbs, address) as service, asyncio.TaskGroup() as tasks:
            await client.wait_until_connected()
            taken = client.call(request("slow", body=b"1"), soon())
            await until(lambda: verbs.started == 1)
            draining = tasks.create_task(service.drain())
            await asyncio.sleep(0)
            later = client.call(request("echo", body=b"2"), soon())
            await asyncio.sleep(0.05)
            assert not draining.done()
            assert len(verbs.requests) == 1
            verbs.gate.set()
            assert (await taken).body == b"1"
            await draining
        async with serving(verbs, address):
            assert (await later).body == b"2"

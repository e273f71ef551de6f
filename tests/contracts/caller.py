"""What every Caller does, over gRPC or in the process: one class of tests, backends differ by fixtures."""

import asyncio
import logging

import orjson
import pytest

from kcpshard.api.errors import ApiError, ServiceUnavailable, Timeout
from kcpshard.api.requests import ListInfo
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Caller, ListStream, Result
from tests.contracts.scripted_verbs import ScriptedVerbs, piece_of


def request(name: str, verb: "pb.Verb.ValueType" = pb.GET, body: bytes = b"") -> pb.Request:
    return pb.Request(verb=verb, cluster="root:a", version="v1", resource="configmaps", name=name, body=body)


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def whole(stream: ListStream | Result) -> bytes:
    assert not isinstance(stream, Result), stream
    return b"".join([piece async for piece in stream])


async def until(predicate: object) -> None:
    """Wait for something that other tasks of this loop bring about."""
    assert callable(predicate)
    async with asyncio.timeout(60):
        while not predicate():
            await asyncio.sleep(0.001)


class CallerContract:
    """Fixtures: `verbs` (ScriptedVerbs) answers, `caller` asks."""

    async def test_an_answer_comes_back_as_it_was_given(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        assert await caller.call(request("echo", body=b'{"a":1}'), soon()) == Result(200, b'{"a":1}')

    async def test_everything_around_the_body_comes_along(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        result = await caller.call(request("warned"), soon())
        assert result == Result(200, b"{}", None, ("old", "older"), b"[1]", -1, '"e"', "text/x")

    async def test_many_at_once_each_get_their_own(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        calls = [caller.call(request("echo", body=str(n).encode()), soon()) for n in range(100)]
        assert [(await call).body for call in calls] == [str(n).encode() for n in range(100)]

    @pytest.mark.parametrize("size", [64 * 1024 - 1000, 66_000, 1_000_000, 3_000_000])
    async def test_large_bodies_arrive_whole(self, caller: Caller, verbs: ScriptedVerbs, size: int) -> None:
        body = bytes(range(250)) * (size // 250)
        result = await caller.call(request("echo", pb.CREATE, body), soon())
        assert result.body == body

    async def test_an_error_is_a_status(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        result = await caller.call(request("absent"), soon())
        assert result.code == 404
        assert orjson.loads(result.body)["message"] == 'configmaps "absent" not found'

    @pytest.mark.parametrize("name", ["bug", "slowbug"])
    async def test_a_bug_is_logged_and_says_nothing_outside(
        self, caller: Caller, verbs: ScriptedVerbs, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR):
            result = await caller.call(request(name), soon())
        assert result.code == 500
        assert b"a bug" not in result.body
        assert caplog.records[0].exc_info is not None

    async def test_a_read_only_shard_says_why(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        result = await caller.call(request("full", pb.CREATE), soon())
        assert (result.code, result.retry_after_s) == (503, 5)
        assert b"no space left on device" in result.body

    @pytest.mark.parametrize("shard", [0, 3])
    async def test_another_shard_is_named(self, caller: Caller, verbs: ScriptedVerbs, shard: int) -> None:
        result = await caller.call(request(f"elsewhere:{shard}"), soon())
        assert (result.code, result.moved_to) == (421, shard)

    async def test_a_write_is_answered_when_it_is_durable(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        verbs.syncs_at_once = False
        call = asyncio.ensure_future(caller.call(request("write", pb.CREATE, b"{}"), soon()))  # noqa: TID251
        await until(lambda: verbs.recorded)
        await caller.call(request("echo"), soon())  # the way there and back again
        assert not call.done()
        verbs.group.sync()
        assert (await call).code == 201

    @pytest.mark.parametrize("name", ["unsynced", "slowunsynced"])
    async def test_a_read_of_what_is_not_durable_waits(self, caller: Caller, verbs: ScriptedVerbs, name: str) -> None:
        call = asyncio.ensure_future(caller.call(request(name, body=b"{}"), soon()))  # noqa: TID251
        await until(lambda: verbs.requests)
        await caller.call(request("echo"), soon())
        assert not call.done()
        verbs.group.sync()
        assert (await call).code == 200

    async def test_a_write_that_the_disk_refuses_is_unavailable(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        verbs.syncs_at_once = False
        call = caller.call(request("write", pb.CREATE, b"{}"), soon())
        await until(lambda: verbs.recorded)
        verbs.group.refuse()
        assert (await call).code == 503

    async def test_the_deadline_ends_a_call(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        with pytest.raises(Timeout):
            await caller.call(request("slow"), soon(0.1))
        await until(lambda: verbs.cancelled == 1)

    async def test_the_deadline_ends_the_wait_for_a_sync(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        verbs.syncs_at_once = False
        with pytest.raises(Timeout):
            await caller.call(request("write", pb.CREATE), soon(0.1))

    async def test_a_cancelled_call_stops_the_verb(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        async def ask() -> Result:
            return await caller.call(request("slow"), soon())

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ask())
            await until(lambda: verbs.started == 1)
            task.cancel()
            await until(lambda: verbs.cancelled == 1)

    async def test_a_short_list_is_complete_at_once(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        stream = await caller.list(request("oneslice:500", pb.LIST), soon())
        assert not isinstance(stream, Result)
        assert stream.complete
        assert stream.info == ListInfo(9, "", -1, "v1", "ConfigMapList")
        assert await whole(stream) == b"x" * 500

    async def test_a_list_in_pieces_arrives_in_order(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        stream = await caller.list(request("pieces:100:70000", pb.LIST), soon())
        assert not isinstance(stream, Result)
        assert (stream.code, stream.columns, stream.complete) == (200, b"[2]", False)
        assert await whole(stream) == b"".join(piece_of(n, 70000) for n in range(100))
        assert stream.info == ListInfo(7, "next", 3, "v1", "ConfigMapList")

    async def test_a_list_of_one_piece(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        stream = await caller.list(request("pieces:1:10", pb.LIST), soon())
        assert await whole(stream) == piece_of(0, 10)

    async def test_an_empty_last_piece(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        stream = await caller.list(request("pieces:2:0", pb.LIST), soon())
        assert await whole(stream) == b""
        assert not isinstance(stream, Result)
        assert stream.info is not None

    async def test_a_list_waits_for_its_reader(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        stream = await caller.list(request("pieces:200:1000", pb.LIST), soon())
        await asyncio.sleep(0.05)
        assert verbs.pieces_made <= 12  # 16 ahead, and a few on their way
        assert len(await whole(stream)) == 200_000

    async def test_leaving_a_list_stops_it(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        stream = await caller.list(request("pieces:200:1000", pb.LIST), soon())
        assert not isinstance(stream, Result)
        await until(lambda: verbs.pieces_made >= 8)
        verbs.arrived.clear()
        stream.close()
        async with asyncio.timeout(60):
            await verbs.arrived.wait()  # the generator was closed
        assert verbs.pieces_made <= 12

    async def test_a_list_that_breaks_in_the_middle_says_so(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        stream = await caller.list(request("broken:3", pb.LIST), soon())
        with pytest.raises(ServiceUnavailable):
            await whole(stream)

    async def test_a_list_past_its_deadline_ends_with_timeout(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        stream = await caller.list(request("pieces:200:1000", pb.LIST), soon(0.15))
        await asyncio.sleep(0.3)
        with pytest.raises(Timeout):
            await whole(stream)

    async def test_a_refused_list_is_a_result(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        result = await caller.list(request("absent", pb.LIST), soon())
        assert isinstance(result, Result)
        assert result.code == 404
        moved = await caller.list(request("elsewhere:2", pb.LIST), soon())
        assert isinstance(moved, Result)
        assert moved.moved_to == 2

    async def test_a_deleted_collection_comes_whole(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        result = await caller.call(request("pieces:100:70000", pb.DELETE_COLLECTION), soon())
        assert result.body == b"".join(piece_of(n, 70000) for n in range(100))
        assert result.info is not None

    async def test_errors_are_api_errors(self, caller: Caller, verbs: ScriptedVerbs) -> None:
        with pytest.raises(ApiError):
            await caller.call(request("slow"), soon(0.01))

"""Pending calls without a stream: what a Response does to them, and what they tell their lane."""

import asyncio
from typing import Any

import pytest

from kcpshard.api.errors import ServiceUnavailable, Timeout
from kcpshard.api.requests import ListInfo
from kcpshard.rpc import pending_calls
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from kcpshard.rpc.pending_calls import CREDIT_STEP, Call, ListCall, Pending, Pieces


def hear(pending: Pending[Any], response: pb.Response) -> bool:
    return pending.receive(response, response.body)


class FakeLane:
    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def send(self, pending: Pending[Any]) -> None:
        self.told.append(("send", pending.id))

    def cancel(self, pending: Pending[Any]) -> None:
        self.told.append(("cancel", pending.id))

    def credit(self, pending: Pending[Any], frames: int) -> None:
        self.told.append(("credit", frames))

    def settle(self, pending: Pending[Any]) -> None:
        self.told.append(("settle", pending.id))


@pytest.fixture
async def lane() -> FakeLane:
    return FakeLane()


def call(lane: FakeLane) -> Call:
    return Call(asyncio.get_running_loop(), lane, 7, pb.Request(), 0.0)


def listing(lane: FakeLane) -> ListCall:
    return ListCall(asyncio.get_running_loop(), lane, 7, pb.Request(), 0.0)


async def test_one_response_is_the_answer(lane: FakeLane) -> None:
    pending = call(lane)
    assert hear(pending, pb.Response(id=7, code=200, body=b"a"))
    assert await pending == Result(200, b"a")


async def test_frames_are_joined_and_credited(lane: FakeLane) -> None:
    pending = call(lane)
    frames = 2 * CREDIT_STEP + 1
    for n in range(frames):
        assert not hear(pending, pb.Response(id=7, code=200 * (n == 0), body=b"a", more=True))
    assert hear(pending, pb.Response(id=7, body=b"b"))
    assert (await pending).body == b"a" * frames + b"b"
    assert lane.told == [("credit", CREDIT_STEP)] * 2


async def test_an_error_in_the_middle_replaces_the_answer(lane: FakeLane) -> None:
    pending = call(lane)
    hear(pending, pb.Response(id=7, code=200, body=b"a", more=True))
    assert hear(pending, pb.Response(id=7, code=504, body=b"status"))
    assert await pending == Result(504, b"status")


async def test_a_restart_forgets_what_came(lane: FakeLane) -> None:
    pending = call(lane)
    hear(pending, pb.Response(id=7, code=200, body=b"a", more=True))
    assert pending.restart()
    assert hear(pending, pb.Response(id=7, code=200, body=b"b"))
    assert (await pending).body == b"b"


async def test_an_endless_answer_is_given_up(lane: FakeLane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_calls, "RESPONSE_BODY_BYTES", 10)
    pending = call(lane)
    hear(pending, pb.Response(id=7, code=200, body=b"12345", more=True))
    assert hear(pending, pb.Response(id=7, body=b"1234567", more=True))
    with pytest.raises(ServiceUnavailable):
        await pending
    assert ("cancel", 7) in lane.told


async def test_cancelling_tells_the_lane_once(lane: FakeLane) -> None:
    pending = call(lane)
    assert pending.cancel()
    assert not pending.cancel()
    assert lane.told == [("cancel", 7), ("settle", 7)]


async def test_failing_an_answered_call_changes_nothing(lane: FakeLane) -> None:
    pending = call(lane)
    hear(pending, pb.Response(id=7, code=200))
    pending.fail(Timeout("late"))
    assert (await pending).code == 200
    assert lane.told == []


async def test_a_list_cannot_restart_once_it_has_begun(lane: FakeLane) -> None:
    pending = listing(lane)
    assert pending.restart()
    hear(pending, pb.Response(id=7, code=200, body=b"a", more=True))
    assert not pending.restart()
    stream = await pending
    pending.fail(ServiceUnavailable("gone"))
    assert isinstance(stream, Pieces)
    pieces = []
    with pytest.raises(ServiceUnavailable):
        async for piece in stream:
            pieces.append(piece)
    assert pieces == [b"a"]
    assert lane.told == [("settle", 7)]


async def test_credits_are_given_as_pieces_are_read(lane: FakeLane) -> None:
    pending = listing(lane)
    for n in range(CREDIT_STEP + 1):
        hear(pending, pb.Response(id=7, code=200 * (n == 0), body=b"a", more=True))
    stream = await pending
    assert isinstance(stream, Pieces)
    assert lane.told == []
    reader = aiter(stream)
    for _ in range(CREDIT_STEP):
        await anext(reader)
    assert lane.told == [("credit", CREDIT_STEP)]
    info = pb.ListMetadata(revision=5, remaining_item_count=-1)
    assert hear(pending, pb.Response(id=7, body=b"z", list=info))
    assert [piece async for piece in reader] == [b"a", b"z"]
    assert stream.info == ListInfo(5, "", -1, "", "")


async def test_leaving_a_finished_list_says_nothing(lane: FakeLane) -> None:
    pending = listing(lane)
    hear(pending, pb.Response(id=7, code=200, body=b"a"))
    stream = await pending
    assert isinstance(stream, Pieces)
    stream.close()
    assert lane.told == []


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("POST", False), ("DELETE", False)])
async def test_what_another_server_may_have_acted_on_is_not_sent_twice(
    lane: FakeLane, method: str, again: bool
) -> None:
    request = pb.Request(verb=pb.FORWARD, forwarded=b'{"method":"%b"}' % method.encode())
    pending = ListCall(asyncio.get_running_loop(), lane, 7, request, 0.0)
    assert pending.restart() is again

"""A session without its transport: messages in, messages out."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from kcpshard import service
from kcpshard.execution import Execution
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.frames import BATCH_BYTES, FRAME_BYTES, LIST_FRAME_BYTES, WINDOW_FRAMES
from kcpshard.service import SessionStream
from tests.contracts.caller import request, until
from tests.contracts.scripted_verbs import ScriptedVerbs


@pytest.fixture
async def verbs() -> ScriptedVerbs:
    return ScriptedVerbs()


@pytest.fixture
async def stream(verbs: ScriptedVerbs) -> AsyncIterator[SessionStream]:
    async with asyncio.TaskGroup() as tasks:
        execution = Execution(verbs.dispatch, tasks)
        made = SessionStream(execution, lambda: None)
        yield made
        made.close()
        verbs.gate.set()
        execution.close()


def ask(stream: SessionStream, *requests: pb.Request, **fields: object) -> None:
    for n, each in enumerate(requests):
        each.id = each.id or n + 1
    stream.receive(pb.RequestBatch(requests=requests, **fields).SerializeToString())  # type: ignore[arg-type]


def taken(stream: SessionStream) -> list[pb.Response]:
    found: list[pb.Response] = []
    while message := stream.take():
        assert len(message) <= BATCH_BYTES + LIST_FRAME_BYTES
        found += pb.ResponseBatch.FromString(message).responses
    return found


async def test_a_batch_is_answered_in_the_turn_that_read_it(stream: SessionStream) -> None:
    ask(stream, request("echo", body=b"a"), request("absent"), request("echo", body=b"b"))
    answers = pb.ResponseBatch.FromString(stream.take()).responses
    assert [(r.id, r.code) for r in answers] == [(1, 200), (2, 404), (3, 200)]
    assert stream.is_idle


async def test_a_large_answer_is_framed_without_a_window(stream: SessionStream) -> None:
    ask(stream, request("sized:2000000"))
    frames = taken(stream)
    assert len(frames) > WINDOW_FRAMES
    assert sum(len(r.body) for r in frames) == 2_000_000


async def test_a_list_is_windowed_even_if_it_came_whole(stream: SessionStream) -> None:
    ask(stream, request(f"oneslice:{(WINDOW_FRAMES + 4) * LIST_FRAME_BYTES}", pb.LIST))
    assert len(taken(stream)) == WINDOW_FRAMES
    ask(stream, credits=[pb.FrameCredit(id=1, frames=8)])
    rest = taken(stream)
    assert len(rest) == 4
    assert rest[-1].HasField("list")
    assert stream.is_idle


async def test_pieces_wait_for_the_stream_and_cancel_stops_them(stream: SessionStream, verbs: ScriptedVerbs) -> None:
    ask(stream, request("pieces:100:1000", pb.LIST))
    await until(lambda: verbs.pieces_made == 1)
    await asyncio.sleep(0.01)
    assert verbs.pieces_made == 1  # nothing was taken: nothing more is made
    stream.take()
    await until(lambda: verbs.pieces_made == 2)
    verbs.arrived.clear()
    ask(stream, cancels=[1])
    await verbs.arrived.wait()
    assert stream.is_idle


async def test_closing_frees_a_list_that_waits_for_its_reader(stream: SessionStream, verbs: ScriptedVerbs) -> None:
    ask(stream, request("pieces:100:1000", pb.LIST))
    await until(lambda: verbs.pieces_made == 1)
    verbs.arrived.clear()
    stream.close()
    await asyncio.wait_for(verbs.arrived.wait(), 60)
    assert stream.take() == b""


def upload(body: bytes) -> tuple[pb.Request, list[pb.RequestFrame]]:
    head = request("echo", pb.CREATE, body[:FRAME_BYTES])
    head.id, head.more = 1, True
    starts = range(FRAME_BYTES, len(body), FRAME_BYTES)
    frames = [pb.RequestFrame(id=1, body=body[s : s + FRAME_BYTES], more=s + FRAME_BYTES < len(body)) for s in starts]
    return head, frames


async def test_frames_of_a_request_are_joined(stream: SessionStream) -> None:
    body = bytes(range(256)) * 1000
    head, frames = upload(body)
    ask(stream, head)
    for frame in frames:
        assert not taken(stream)
        ask(stream, frames=[frame])
    assert b"".join(r.body for r in taken(stream)) == body


async def test_an_oversized_body_is_413_and_its_rest_ignored(stream: SessionStream, verbs: ScriptedVerbs) -> None:
    head, frames = upload(b"x" * 4_000_000)
    ask(stream, head)
    for frame in frames:
        ask(stream, frames=[frame])
    assert [(r.id, r.code) for r in taken(stream)] == [(1, 413)]
    assert not verbs.requests


async def test_too_many_large_bodies_at_once_are_429(stream: SessionStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ASSEMBLING_BYTES", 100_000)
    for id_ in (1, 2, 3):
        head, _ = upload(b"x" * 200_000)
        head.id = id_
        ask(stream, head)
    (refused,) = taken(stream)
    assert (refused.id, refused.code, refused.retry_after_s) == (3, 429, 1)


async def test_a_cancelled_upload_is_forgotten(stream: SessionStream, verbs: ScriptedVerbs) -> None:
    head, frames = upload(b"x" * 200_000)
    ask(stream, head)
    ask(stream, cancels=[1])
    ask(stream, frames=frames)
    assert not verbs.requests


async def test_unread_answers_congest_the_stream(stream: SessionStream) -> None:
    assert not stream.is_congested
    for id_ in range(1, 6):
        large = request("sized:2000000")
        large.id = id_
        ask(stream, large)
    assert stream.is_congested
    taken(stream)
    assert not stream.is_congested


async def test_draining_looks_at_no_further_request(stream: SessionStream, verbs: ScriptedVerbs) -> None:
    ask(stream, request("slow"))
    await until(lambda: verbs.started)
    stream.drain()
    later = request("echo")
    later.id = 2
    ask(stream, later)
    assert not stream.is_idle
    verbs.gate.set()
    await until(lambda: not stream.jobs)
    assert [r.id for r in taken(stream)] == [1]
    assert stream.is_idle


async def test_an_answer_that_no_message_can_hold_is_a_500(
    stream: SessionStream, caplog: pytest.LogCaptureFixture
) -> None:
    from kcpshard.api.requests import Answer

    with caplog.at_level(logging.ERROR):
        stream.answer(4, Answer(200, b"{}", warnings=["\ud800"]))
    assert [(r.id, r.code) for r in taken(stream)] == [(4, 500)]
    assert caplog.records

"""A lane against a scripted stream: what it sends, sends again, and gives up. Real streams: test_client."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.rpc import lane as lanes
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from kcpshard.rpc.lane import SessionLane
from kcpshard.rpc.pending_calls import Call, Pending
from tests.contracts.caller import soon, until


class FakeStream:
    """One opening of the stream. `answers` are what the shard says; `end` or `fail` finish it."""

    def __init__(self) -> None:
        self.received: list[pb.RequestBatch] = []
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.is_cancelled = False

    async def write(self, message: bytes) -> None:
        self.received.append(pb.RequestBatch.FromString(message))

    async def read(self) -> Any:
        found = await self.answers.get()
        if isinstance(found, Exception):
            raise found
        return found

    def cancel(self) -> None:
        self.is_cancelled = True

    def say(self, batch: pb.ResponseBatch) -> None:
        self.answers.put_nowait(batch.SerializeToString())

    def greet(self, protocol: int = 1) -> None:
        self.say(pb.ResponseBatch(hello=pb.Hello(protocol=protocol, shard=3)))

    def fail(self, code: grpc.StatusCode) -> None:
        self.answers.put_nowait(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "why"))

    @property
    def requests(self) -> list[pb.Request]:
        return [request for batch in self.received for request in batch.requests]


class FakeChannel:
    def __init__(self) -> None:
        self.streams: list[FakeStream] = []

    def stream_stream(self, _path: str) -> Any:
        def open_stream() -> FakeStream:
            self.streams.append(FakeStream())
            return self.streams[-1]

        return open_stream

    async def close(self) -> None:
        """Nothing to close."""

    async def stream(self, number: int) -> FakeStream:
        await until(lambda: len(self.streams) > number)
        return self.streams[number]


class Setting:
    def __init__(self) -> None:
        self.channel = FakeChannel()
        self.settled: list[tuple[int, bool]] = []
        self.lane = SessionLane(
            "test", pb.Hello(protocol=1, process="front-1"), lambda: self.channel, lambda hello: None, self._settled
        )

    def _settled(self, pending: Pending[Any], held: bool) -> None:
        self.settled.append((pending.id, held))

    def call(self, id_: int, verb: "pb.Verb.ValueType" = pb.GET, body: bytes = b"") -> Call:
        request = pb.Request(verb=verb, name=f"n{id_}", body=body)
        pending = Call(asyncio.get_running_loop(), self.lane, id_, request, soon())
        self.lane.send(pending)
        return pending


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    async with asyncio.TaskGroup() as tasks:
        made = Setting()
        running = tasks.create_task(made.lane.run())
        yield made
        running.cancel()


async def test_hello_goes_first_and_requests_after_the_shards(setting: Setting) -> None:
    setting.call(1)
    stream = await setting.channel.stream(0)
    await until(lambda: stream.received)
    assert stream.received[0].hello.process == "front-1"
    assert not stream.requests
    stream.greet()
    await until(lambda: stream.requests)
    assert stream.requests[0].timeout_ms > 4000


async def test_what_queued_in_one_turn_is_one_message(setting: Setting) -> None:
    stream = await setting.channel.stream(0)
    stream.greet()
    await setting.lane.connected.wait()
    for n in range(10):
        setting.call(n + 1)
    await until(lambda: stream.requests)
    assert [len(batch.requests) for batch in stream.received] == [0, 10]


async def test_answers_in_any_order_and_for_unknown_ids(setting: Setting) -> None:
    stream = await setting.channel.stream(0)
    stream.greet()
    first, second = setting.call(1), setting.call(2)
    stream.say(pb.ResponseBatch(responses=[pb.Response(id=i, code=200, body=b"%d" % i) for i in (9, 2, 1)]))
    assert [await second, await first] == [Result(200, b"2"), Result(200, b"1")]
    assert setting.settled == [(2, True), (1, True)]


@pytest.mark.parametrize("ending", ["empty message", "end", "error"])
async def test_a_lost_stream_is_opened_again_and_asked_again(setting: Setting, ending: str) -> None:
    stream = await setting.channel.stream(0)
    stream.greet()
    read, write = setting.call(1), setting.call(2, pb.CREATE)
    await until(lambda: len(stream.requests) == 2)
    if ending == "error":
        stream.fail(grpc.StatusCode.UNAVAILABLE)
    else:
        stream.answers.put_nowait(b"" if ending == "empty message" else grpc.aio.EOF)
    second = await setting.channel.stream(1)
    assert stream.is_cancelled
    second.greet()
    await until(lambda: len(second.requests) == 2)
    again = second.requests
    assert [(r.id, r.repeat) for r in again] == [(1, False), (2, True)]
    assert again[1].first_sent_us > 0
    assert setting.lane.sent_again == 2
    second.say(pb.ResponseBatch(responses=[pb.Response(id=1, code=200), pb.Response(id=2, code=201)]))
    assert [(await read).code, (await write).code] == [200, 201]


async def test_a_write_that_never_left_is_not_a_repeat(setting: Setting) -> None:
    stream = await setting.channel.stream(0)
    setting.call(1, pb.CREATE)
    stream.fail(grpc.StatusCode.UNAVAILABLE)
    second = await setting.channel.stream(1)
    second.greet()
    await until(lambda: second.requests)
    assert not second.requests[0].repeat


async def test_a_large_body_travels_in_frames_and_starts_over(setting: Setting) -> None:
    body = bytes(range(256)) * 1000
    stream = await setting.channel.stream(0)
    stream.greet()
    call = setting.call(1, pb.CREATE, body)
    await until(lambda: any(not f.more for b in stream.received for f in b.frames))
    stream.fail(grpc.StatusCode.UNAVAILABLE)
    second = await setting.channel.stream(1)
    second.greet()
    await until(lambda: any(not f.more for b in second.received for f in b.frames))
    for opened in (stream, second):
        frames = b"".join(f.body for b in opened.received for f in b.frames)
        assert opened.requests[0].more
        assert opened.requests[0].body + frames == body
    second.say(pb.ResponseBatch(responses=[pb.Response(id=1, code=201)]))
    assert (await call).code == 201


async def test_cancel_is_told_and_the_answer_ignored(setting: Setting) -> None:
    stream = await setting.channel.stream(0)
    stream.greet()
    call = setting.call(1)
    await until(lambda: stream.requests)
    call.cancel()
    await until(lambda: any(b.cancels for b in stream.received))
    stream.say(pb.ResponseBatch(responses=[pb.Response(id=1, code=200)]))
    assert setting.settled == [(1, True)]


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAUTHENTICATED]
)
async def test_a_refusal_fails_who_waits_at_once(setting: Setting, code: grpc.StatusCode) -> None:
    call = setting.call(1)
    (await setting.channel.stream(0)).fail(code)
    with pytest.raises(ServiceUnavailable, match="why"):
        await call
    assert setting.lane.refusal is not None
    (await setting.channel.stream(1)).greet()
    await setting.lane.connected.wait()
    assert setting.lane.refusal is None


async def test_a_strange_protocol_is_a_refusal(setting: Setting) -> None:
    call = setting.call(1)
    (await setting.channel.stream(0)).greet(protocol=7)
    with pytest.raises(ServiceUnavailable, match="protocol 7"):
        await call


async def test_patience_ends(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE_S", 0.05)
    stream = await setting.channel.stream(0)
    stream.greet()
    read, write = setting.call(1), setting.call(2, pb.CREATE)
    await until(lambda: len(stream.requests) == 2)
    stream.fail(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(ServiceUnavailable):
        await read
    assert not write.done()


async def test_closing_fails_everything() -> None:
    made = Setting()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(made.lane.run())
        stream = await made.channel.stream(0)
        stream.greet()
        write = made.call(2, pb.CREATE)
        await until(lambda: stream.requests)
        running.cancel()
    with pytest.raises(ServiceUnavailable):
        await write

"""Shards behind a router: each answers from a script, notes what it was asked, and holds watches."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from kcpshard.api.slots import encode_table, even_table
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import ListStream, Result, Upgraded, WatchedEvent, WatchSink

OK = Result(200, b"{}")


def moved(to: int) -> Result:
    return Result(421, b"", moved_to=to)


def make_map(epoch: int, shards: int, **pins: int) -> pb.ShardMap:
    return pb.ShardMap(
        epoch=epoch,
        slots=encode_table(even_table(shards)),
        pins=[pb.Pin(cluster=path, shard=shard) for path, shard in pins.items()],
        shards=[pb.ShardEntry(number=n, address=f"shard-{n}:1") for n in range(1, shards + 1)],
    )


class FakeHandle:
    def __init__(self, start: pb.StartWatch, sink: WatchSink) -> None:
        self.start, self.sink = start, sink
        self.revision = start.revision
        self.columns, self.kind, self.audit = b"", "", b""
        self.closed = self.paused = False

    @property
    def complete(self) -> int:
        return self.revision

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True


class FakeShard:
    """A Caller and a Watcher. Without a script every call is answered OK."""

    def __init__(self) -> None:
        self.asked: list[pb.Request] = []
        self.script: list[Result | Exception] = []
        self.watches: list[FakeHandle] = []
        self.answered: Callable[[], None] = lambda: None

    def call(self, request: pb.Request, deadline: float) -> Awaitable[Result]:
        return self._answer(request)

    def list(self, request: pb.Request, deadline: float) -> Awaitable[ListStream | Result]:
        return self._answer(request)

    def connect(self, request: pb.Request, deadline: float) -> Awaitable[Upgraded | Result]:
        return self._answer(request)

    def watch(self, start: pb.StartWatch, sink: WatchSink) -> FakeHandle:
        handle = FakeHandle(start, sink)
        self.watches.append(handle)
        return handle

    def _answer(self, request: pb.Request) -> "asyncio.Future[Result]":
        self.asked.append(request)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        answer = self.script.pop(0) if self.script else OK
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        return future


class FakeChannels:
    def __init__(self, shards: int) -> None:
        self.shards = {n: FakeShard() for n in range(1, shards + 1)}
        self.callers: dict[int, FakeShard] = {}
        self.watchers: dict[int, FakeShard] = {}
        self.updates: list[Sequence[pb.ShardEntry]] = []

    def update(self, shards: Sequence[pb.ShardEntry]) -> None:
        self.updates.append(shards)
        self.callers = self.watchers = {entry.number: self.shards[entry.number] for entry in shards}


class FakeSink:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def started(self) -> None:
        self.seen.append("started")

    def event(self, event: WatchedEvent) -> None:
        self.seen.append(event)

    def initial_done(self, revision: int) -> None:
        self.seen.append(("initial_done", revision))

    def ended(self, status: bytes) -> None:
        self.seen.append(("ended", status))

"""A router without shards: answers from dictionaries, remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import orjson

from kcpshard.api.errors import object_not_found
from kcpshard.api.requests import ListInfo
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import ListStream, Result, Upgraded, WatchedEvent, WatchHandle, WatchSink


class FakeListStream:
    """Pieces as given; `info` is known after the last."""

    def __init__(self, pieces: Sequence[bytes], info: ListInfo, columns: bytes = b"") -> None:
        self.code, self.columns, self.warnings, self.flow = 200, columns, (), b""
        self.audit = self.head = b""
        self._pieces, self._info = pieces, info
        self.complete = len(pieces) <= 1
        self.info: ListInfo | None = info if self.complete else None
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for index, piece in enumerate(self._pieces):
            if index:
                await asyncio.sleep(0)
            yield piece
        self.info = self._info

    def close(self) -> None:
        self.closed = True


class FakeWatch:
    """The handle of one watch; tests drive its sink."""

    def __init__(self, start: pb.StartWatch, sink: WatchSink) -> None:
        self.start, self.sink = start, sink
        self.revision, self.columns, self.kind = 0, b"", "ConfigMap"
        self.audit = b'{"decision":"allow","reason":"watched"}'
        self.closed = self.paused = False

    def accept(self) -> None:
        self.sink.started()

    def give(self, type_: int, revision: int, obj: dict[str, Any]) -> None:
        self.sink.event(WatchedEvent(type_, revision, orjson.dumps(obj)))
        self.revision = revision

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True


class FakeRouter:
    def __init__(self) -> None:
        self.requests: list[pb.Request] = []
        self.objects: dict[str, dict[str, Any]] = {}  # by name
        self.answer: Callable[[pb.Request], Result] = self._find
        self.pieces: Sequence[bytes] | None = None
        self.list_result: Result | None = None
        self.columns = b""
        self.remaining = -1
        self.continue_token = ""
        self.watches: list[FakeWatch] = []
        self.accept_watches = True
        self.delay: asyncio.Event | None = None
        self.cancelled = 0
        self.upgraded: Upgraded | None = None

    async def call(self, request: pb.Request, deadline: float) -> Result:
        self.requests.append(request)
        if self.delay is not None:
            try:
                await self.delay.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return self.answer(request)

    def _find(self, request: pb.Request) -> Result:
        if request.verb in (pb.CREATE, pb.UPDATE, pb.PATCH):
            return Result(201 if request.verb == pb.CREATE else 200, request.body)
        found = self.objects.get(request.name)
        if found is None:
            error = object_not_found(request.group, request.resource, request.name)
            return Result(404, error.body())
        return Result(200, orjson.dumps(found), columns=self.columns)

    async def list(self, request: pb.Request, deadline: float) -> ListStream | Result:
        self.requests.append(request)
        if self.list_result is not None:
            return self.list_result
        items = b",".join(orjson.dumps(o) for o in self.objects.values())
        pieces = self.pieces if self.pieces is not None else [items]
        info = ListInfo(1_700_000_000_000_000_001, self.continue_token, self.remaining, "v1", "ConfigMapList")
        return FakeListStream(pieces, info, self.columns)

    async def connect(self, request: pb.Request, deadline: float) -> Upgraded | Result:
        self.requests.append(request)
        return self.upgraded or self.answer(request)

    def watch(self, start: pb.StartWatch, sink: WatchSink) -> WatchHandle:
        watch = FakeWatch(start, sink)
        watch.columns = self.columns
        self.watches.append(watch)
        if self.accept_watches:
            asyncio.get_running_loop().call_soon(watch.accept)
        return watch

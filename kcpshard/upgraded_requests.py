"""Requests whose connection is to be upgraded: one stream each (the rpc Connect), beside the batches of `service`.

`UpgradedRequest` is one without its transport: the request is executed like any other, its answers are read one by one,
and what the client sends meanwhile goes to an `Upstream`, which the verb finds by the request's id.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import Any

import grpc
import grpc.aio

from kcpshard.api.requests import Answer
from kcpshard.callouts.upstream import Upstream
from kcpshard.execution import Execution, Job
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.messages import ProtocolMismatch, answer_response, check_hello

_AHEAD = 2  # pieces of 64 kB that wait for their reader

Upstreams = MutableMapping[bytes, Upstream]


class UpgradedRequest:
    """A Receiver of Execution. `begin`, read with `next` until None, then `close`."""

    def __init__(self, execution: Execution, upstreams: Upstreams, request: pb.Request) -> None:
        self._execution, self._upstreams, self._request = execution, upstreams, request
        self._key = request.request_id = os.urandom(16)
        self._answers: deque[Answer] = deque()
        self._changed = asyncio.Event()
        self._is_whole = False
        self.upstream = Upstream()
        self.jobs: dict[int, Job] = {}

    def begin(self) -> None:
        self._request.id = 1
        self._upstreams[self._key] = self.upstream
        self._execution.execute(self._request, self)

    async def next(self) -> Answer | None:
        while not self._answers:
            if self._is_whole:
                return None
            await self._wait()
        found = self._answers.popleft()
        self._changed.set()
        return found

    def close(self) -> None:
        self._upstreams.pop(self._key, None)
        self._is_whole = True
        self._changed.set()
        self._execution.abandon(self)
        self.upstream.end()

    # --- Receiver

    def answer(self, id_: int, answer: Answer) -> None:
        self._answers.append(answer)
        self._is_whole = True
        self._changed.set()

    async def piece(self, id_: int, answer: Answer) -> None:
        self._answers.append(answer)
        self._is_whole |= answer.info is not None
        self._changed.set()
        while len(self._answers) > _AHEAD and not self._is_whole:
            await self._wait()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class UpgradeService:
    """The gRPC servicer of Connect."""

    def __init__(self, execution: Execution, upstreams: Upstreams, hello: Callable[[], pb.Hello]) -> None:
        self._execution, self._upstreams, self._hello = execution, upstreams, hello
        self._open: set[UpgradedRequest] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def connect(self, _requests: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        message = pb.ConnectUp.FromString(first)
        try:
            check_hello(message.hello if message.HasField("hello") else None)
        except ProtocolMismatch as mismatch:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(mismatch))
            return
        request = UpgradedRequest(self._execution, self._upstreams, message.request)
        self._open.add(request)
        try:
            request.begin()
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(_read(context, request))
                await self._write(context, request)
                reader.cancel()
        finally:
            self._open.discard(request)
            request.close()

    def close(self) -> None:
        """The shard stops: both sides of every connection see it end."""
        for request in list(self._open):
            request.close()

    async def _write(self, context: "grpc.aio.ServicerContext[Any, Any]", request: UpgradedRequest) -> None:
        answer = await request.next()
        if answer is None:
            return
        response = answer_response(1, answer)
        await context.write(pb.ConnectDown(hello=self._hello(), response=response).SerializeToString())
        while (answer := await request.next()) is not None:
            if answer.code >= 400:  # broken in the middle: no place for an answer
                await context.abort(grpc.StatusCode.ABORTED, "the connection broke")
            if answer.body:
                await context.write(pb.ConnectDown(data=answer.body).SerializeToString())


async def _read(context: "grpc.aio.ServicerContext[Any, Any]", request: UpgradedRequest) -> None:
    try:
        while (message := await context.read()) is not grpc.aio.EOF:
            await request.upstream.write(pb.ConnectUp.FromString(message).data)
    except ConnectionError:
        return  # the other direction says so
    request.upstream.end()

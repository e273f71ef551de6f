"""LocalShard: a shard of this process as a `Caller`, without gRPC and without bytes on a wire.

It takes the stream's place: pending requests and answers are the same as over gRPC, so the same contract holds. There
are no credits: who calls in the same process shares its fate anyway.
"""

import asyncio
from collections.abc import Awaitable
from itertools import count
from typing import Any

from kcpshard.api.errors import ServiceUnavailable, Timeout
from kcpshard.api.requests import Answer
from kcpshard.execution import Execution, Job
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import ListStream, Result, Upgraded
from kcpshard.rpc.deadlines import Deadlines
from kcpshard.rpc.frames import WINDOW_FRAMES
from kcpshard.rpc.messages import answer_response, result_of
from kcpshard.rpc.pending_calls import Call, ListCall, Pending
from kcpshard.upgraded_requests import UpgradedRequest, Upstreams


class LocalShard:
    """A Caller for whoever calls, a Receiver for Execution, a Lane for pending calls."""

    def __init__(self, execution: Execution, upstreams: Upstreams | None = None) -> None:
        """`upstreams`: those of the shard, for connections that are upgraded."""
        self._execution = execution
        self._upstreams: Upstreams = {} if upstreams is None else upstreams
        self._loop = asyncio.get_running_loop()
        self._ids = count(1)
        self._pending: dict[int, Pending[Any]] = {}
        self._windows: dict[int, _Window] = {}  # of lists that have begun
        self._deadlines: Deadlines[Pending[Any]] = Deadlines(self._loop, _expire)
        self.jobs: dict[int, Job] = {}

    # --- Caller

    def call(self, request: pb.Request, deadline: float) -> Awaitable[Result]:
        pending = Call(self._loop, self, next(self._ids), request, deadline)
        self.send(pending)
        return pending

    def list(self, request: pb.Request, deadline: float) -> Awaitable[ListStream | Result]:
        pending = ListCall(self._loop, self, next(self._ids), request, deadline)
        self.send(pending)
        return pending

    async def connect(self, request: pb.Request, deadline: float) -> Upgraded | Result:
        asked = UpgradedRequest(self._execution, self._upstreams, request)
        asked.begin()
        try:
            async with asyncio.timeout_at(deadline):
                answer = await asked.next()
        except TimeoutError:
            asked.close()
            raise Timeout("Timeout: the shard did not answer within the allotted timeout") from None
        except BaseException:
            asked.close()
            raise
        if answer is None:
            raise ServiceUnavailable("the shard is stopping")
        if answer.head:
            return _LocalConnection(asked, answer)
        asked.close()
        return result_of(answer_response(1, answer), answer.body, answer.info)

    def close(self) -> None:
        self._deadlines.close()
        self._execution.abandon(self)

    # --- Lane

    def send(self, pending: Pending[Any]) -> None:
        request = pending.request
        request.id = pending.id
        request.timeout_ms = max(1, int((pending.deadline - self._loop.time()) * 1000))
        self._pending[pending.id] = pending
        self._deadlines.add(pending, pending.deadline)
        self._execution.execute(request, self)

    def cancel(self, pending: Pending[Any]) -> None:
        self._windows.pop(pending.id, None)
        self._execution.cancel(self, pending.id)

    def credit(self, pending: Pending[Any], frames: int) -> None:
        if window := self._windows.get(pending.id):
            window.open(frames)

    def settle(self, pending: Pending[Any]) -> None:
        self._pending.pop(pending.id, None)
        self._windows.pop(pending.id, None)
        self._deadlines.discard(pending, pending.deadline)

    # --- Receiver

    def answer(self, id_: int, answer: Answer) -> None:
        self._give(answer_response(id_, answer))

    async def piece(self, id_: int, answer: Answer) -> None:
        if id_ not in self._pending:
            return
        window = self._windows.get(id_)
        response = answer_response(id_, answer)
        response.more = answer.info is None
        if window is None:
            window = self._windows[id_] = _Window()
        else:
            response.code = 0  # only the first frame has one
        self._give(response)
        await window.pass_one()

    def _give(self, response: pb.Response) -> None:
        pending = self._pending.get(response.id)
        if pending is not None and pending.receive(response, response.body):
            self.settle(pending)


class _LocalConnection:
    """An `Upgraded` without bytes on a wire."""

    def __init__(self, asked: UpgradedRequest, answer: Answer) -> None:
        self._asked = asked
        self.head, self.body, self.audit = answer.head, answer.body, answer.audit

    async def read(self) -> bytes:
        while (answer := await self._asked.next()) is not None:
            if answer.code >= 400:
                raise ConnectionResetError("the connection broke")
            if answer.body:
                return answer.body
        return b""

    async def write(self, data: bytes) -> None:
        await self._asked.upstream.write(data)

    async def end(self) -> None:
        self._asked.upstream.end()

    def close(self) -> None:
        self._asked.close()


class _Window:
    """How many pieces a list may be ahead of its reader."""

    def __init__(self) -> None:
        self._left = WINDOW_FRAMES
        self._opened = asyncio.Event()

    def open(self, frames: int) -> None:
        self._left += frames
        self._opened.set()

    async def pass_one(self) -> None:
        """After a piece was given: returns when the next one may be."""
        self._left -= 1
        while self._left <= 0:
            self._opened.clear()
            await self._opened.wait()


def _expire(pending: Pending[Any]) -> None:
    pending.lane.cancel(pending)
    pending.fail(Timeout("Timeout: the shard did not answer within the allotted timeout"))

"""Requests on their way: each is the future of its own answer, and knows how to put that answer together.

A lane feeds them `Response` messages by id and settles them when they are whole. Cancelling one tells the shard.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, Protocol, TypeVar, Union

import orjson

from kcpshard.api.errors import ApiError, ServiceUnavailable, Timeout
from kcpshard.api.requests import ListInfo
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import ListStream, Result
from kcpshard.rpc.frames import WINDOW_FRAMES, Assembly, BodyTooLarge, FramedBody
from kcpshard.rpc.messages import RESPONSE_BODY_BYTES, list_info, result_of

CREDIT_STEP = WINDOW_FRAMES // 2

T = TypeVar("T")


class Lane(Protocol):
    """What a pending request needs of the stream it travels on."""

    def send(self, pending: "Pending[Any]") -> None: ...
    def cancel(self, pending: "Pending[Any]") -> None:
        """Tell the shard, and send no more of it."""

    def credit(self, pending: "Pending[Any]", frames: int) -> None: ...
    def settle(self, pending: "Pending[Any]") -> None:
        """It is answered, failed or given up: forget it, let the next one of its logical cluster go."""


class Pending(asyncio.Future[T], Generic[T]):
    """A request that has not been answered whole."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, lane: Lane, id_: int, request: pb.Request, deadline: float
    ) -> None:
        super().__init__(loop=loop)
        self.lane, self.id, self.request, self.deadline = lane, id_, request, deadline
        self.first_sent_us = 0  # of a write; 0: it cannot have reached the shard
        self.upload: FramedBody | None = None

    def receive(self, response: pb.Response, body: bytes) -> bool:
        """Take a part of the answer, whose body may be missing in `response`; True once it is whole."""
        raise NotImplementedError

    def restart(self) -> bool:
        """The stream was lost: forget what came so far. False if the request cannot be asked again."""
        raise NotImplementedError

    def fail(self, error: ApiError) -> None:
        """Give the caller an error instead of an answer, unless it has got one."""
        if not self.done():
            self.set_exception(error)
            self.lane.settle(self)

    def cancel(self, msg: Any = None) -> bool:
        if not super().cancel(msg):
            return False
        self.lane.cancel(self)
        self.lane.settle(self)
        return True


class Call(Pending[Result]):
    """Answered with one Result, however many frames it came in."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, lane: Lane, id_: int, request: pb.Request, deadline: float
    ) -> None:
        super().__init__(loop, lane, id_, request, deadline)
        self._head: pb.Response | None = None
        self._body: Assembly | None = None
        self._frames = 0

    def receive(self, response: pb.Response, body: bytes) -> bool:
        if self._body is None and not response.more:
            self.set_result(result_of(response, body, list_info(response)))
            return True
        return self._receive_frame(response, body)

    def _receive_frame(self, response: pb.Response, body: bytes) -> bool:
        if self._body is None or self._head is None or response.code:  # the first one, or an error instead of the rest
            self._head, self._body = response, Assembly(RESPONSE_BODY_BYTES)
        try:
            self._body.add(body)
        except BodyTooLarge:
            self.lane.cancel(self)
            self.set_exception(ServiceUnavailable("the shard's answer is too large"))
            return True
        if response.more:
            self._frames += 1
            if self._frames % CREDIT_STEP == 0:
                self.lane.credit(self, CREDIT_STEP)
            return False
        self.set_result(result_of(self._head, self._body.joined(), list_info(response)))
        return True

    def restart(self) -> bool:
        self._body = self._head = self.upload = None
        self._frames = 0
        return True


class ListCall(Pending[Union[ListStream, Result]]):  # noqa: UP007 - a base class is an expression
    """Done with the first piece of a list; the following ones go to its Pieces."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, lane: Lane, id_: int, request: pb.Request, deadline: float
    ) -> None:
        super().__init__(loop, lane, id_, request, deadline)
        self._pieces: Pieces | None = None
        self._is_settled = False

    def receive(self, response: pb.Response, body: bytes) -> bool:
        if self._pieces is not None:
            self._pieces.feed(response, body)
        elif response.code >= 400:
            self.set_result(result_of(response, body, None))
        else:
            self._pieces = Pieces(self, response, body)
            self.set_result(self._pieces)
        self._is_settled = not response.more
        return self._is_settled

    def restart(self) -> bool:
        """A request that somebody else's server may have acted on is not sent twice."""
        self.upload = None
        return self._pieces is None and (self.request.verb != pb.FORWARD or _only_reads(self.request))

    def fail(self, error: ApiError) -> None:
        if self._pieces is None:
            super().fail(error)
        elif not self._is_settled:
            self._is_settled = True
            self._pieces.fail(error)
            self.lane.settle(self)

    def leave(self) -> None:
        """The reader wants no more of it."""
        if not self._is_settled:
            self._is_settled = True
            self.lane.cancel(self)
            self.lane.settle(self)

    def read_frames(self, frames: int) -> None:
        if not self._is_settled:
            self.lane.credit(self, frames)


def _only_reads(request: pb.Request) -> bool:
    """Of a forwarded one, by its method."""
    return orjson.loads(request.forwarded).get("method") in ("GET", "HEAD", "OPTIONS")


class Pieces:
    """The ListStream of a list. At most WINDOW_FRAMES pieces wait here: credits are given as they are read."""

    def __init__(self, call: ListCall, first: pb.Response, body: bytes) -> None:
        self._call = call
        self.code: int = first.code
        self.columns: bytes = first.columns
        self.audit: bytes = first.audit
        self.warnings: Sequence[str] = tuple(first.warnings)
        self.flow: bytes = first.flow
        self.head: bytes = first.head
        self.complete = not first.more
        self.info: ListInfo | None = list_info(first)
        self._waiting: deque[bytes] = deque((body,))
        self._is_whole = self.complete
        self._wake: asyncio.Future[None] | None = None
        self._error: ApiError | None = None
        self._read = 0

    def feed(self, response: pb.Response, body: bytes) -> None:
        if response.code:  # only the first frame has one, and this is not it
            self.fail(_ended_early(response.code))
            return
        self._waiting.append(body)
        if not response.more:
            self._is_whole = True
            self.info = list_info(response)
        self._notify()

    def fail(self, error: ApiError) -> None:
        self._error = error
        self._notify()

    def close(self) -> None:
        self._waiting.clear()
        self._call.leave()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while self._waiting:
                yield self._next()
            if self._is_whole:
                return
            if self._error is not None:
                raise self._error
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    def _next(self) -> bytes:
        self._read += 1
        if self._read % CREDIT_STEP == 0:
            self._call.read_frames(CREDIT_STEP)
        return self._waiting.popleft()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def _ended_early(code: int) -> ApiError:
    if code == 504:
        return Timeout("Timeout: the list did not end within the allotted timeout")
    return ServiceUnavailable(f"the list ended early with code {code}")

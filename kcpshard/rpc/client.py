"""ShardClient: one shard as a `Caller`, over two Session streams on channels of their own.

Lane 0 carries single objects, lane 1 lists, documents and whatever takes a large body along; see `lane` for breaks.
Decides who may be in flight: so many per logical cluster, some more waiting, TooManyRequests beyond.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

import grpc.aio

from kcpshard.api.errors import ServiceUnavailable, Timeout, TooManyRequests
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import upgraded_call
from kcpshard.rpc.contract import ListStream, Result, Upgraded
from kcpshard.rpc.credits import Credits
from kcpshard.rpc.deadlines import Deadlines
from kcpshard.rpc.lane import SessionLane
from kcpshard.rpc.messages import WRITES, front_hello, is_bulky
from kcpshard.rpc.pending_calls import Call, ListCall, Pending

CREDITS_PER_CLUSTER = 128  # until the shard's Hello names its own
QUEUED_PER_CLUSTER = 1024  # requests of one logical cluster waiting for a credit; 429 beyond
MAX_UNANSWERED = 20_000  # of all logical clusters; 429 beyond


class ClientStatistics(NamedTuple):
    unanswered: int
    connected_lanes: int
    sent_again: int
    streams_opened: int
    lists: int


class ShardClient:
    """`run` keeps the lanes open; calls made before it wait for it. Make it on a running loop."""

    def __init__(
        self,
        process: str,
        open_channel: Callable[[], grpc.aio.Channel],
        name: str = "shard",
        is_outdated: Callable[[grpc.aio.Channel], bool] = lambda _channel: False,
    ) -> None:
        """`is_outdated`: see SessionLane."""
        self._loop = asyncio.get_running_loop()
        self.shard = 0  # its number, once connected
        self._ids = count(1)
        self._request_prefix = os.urandom(8)
        self._credits: Credits[Pending[Any]] = Credits(CREDITS_PER_CLUSTER, QUEUED_PER_CLUSTER)
        self._deadlines: Deadlines[Pending[Any]] = Deadlines(self._loop, _expire)
        self._unanswered = self._lists = 0
        hello = self._hello = front_hello(process)
        self._open_channel, self._is_outdated = open_channel, is_outdated
        self._connections: list[grpc.aio.Channel] = []  # of upgraded connections; the last one takes new ones
        self._lanes = tuple(
            SessionLane(f"{name} {kind}", hello, open_channel, self._welcome, self._settled, is_outdated)
            for kind in ("objects", "lists")
        )

    async def run(self) -> None:
        """Until cancelled. Whoever waits for an answer then gets ServiceUnavailable."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in self._lanes:
                    tasks.create_task(lane.run())
        finally:
            closed = ServiceUnavailable("the connection to the shard was closed")
            for lane in self._lanes:
                lane.refusal = closed
            self._deadlines.close()
            for channel in self._connections:
                await channel.close()

    def call(self, request: pb.Request, deadline: float) -> Awaitable[Result]:
        lane = self._lanes[is_bulky(request)]
        pending = Call(self._loop, lane, next(self._ids), request, deadline)
        self._start(pending, lane)
        return pending

    def list(self, request: pb.Request, deadline: float) -> Awaitable[ListStream | Result]:
        lane = self._lanes[1]
        self._lists += 1
        pending = ListCall(self._loop, lane, next(self._ids), request, deadline)
        self._start(pending, lane)
        return pending

    def connect(self, request: pb.Request, deadline: float) -> Awaitable[Upgraded | Result]:
        if not self._connections or self._is_outdated(self._connections[-1]):
            self._connections.append(self._open_channel())  # streams on an older one go on until they end
        return upgraded_call.connect(self._connections[-1], self._hello, request, deadline)

    @property
    def is_connected(self) -> bool:
        return all(lane.connected.is_set() for lane in self._lanes)

    async def wait_until_connected(self) -> None:
        for lane in self._lanes:
            await lane.connected.wait()

    def statistics(self) -> ClientStatistics:
        return ClientStatistics(
            self._unanswered,
            sum(lane.connected.is_set() for lane in self._lanes),
            sum(lane.sent_again for lane in self._lanes),
            sum(lane.streams_opened for lane in self._lanes),
            self._lists,
        )

    def _start(self, pending: Pending[Any], lane: SessionLane) -> None:
        request = pending.request
        if lane.refusal is not None:
            pending.set_exception(lane.refusal)
            return
        if request.verb in WRITES and not request.request_id:
            request.request_id = self._request_prefix + next(self._ids).to_bytes(8, "big")
        self._unanswered += 1
        self._deadlines.add(pending, pending.deadline)
        if self._unanswered <= MAX_UNANSWERED and self._credits.take(request.cluster):
            lane.send(pending)
        elif self._unanswered > MAX_UNANSWERED or not self._credits.wait(request.cluster, pending):
            self._unanswered -= 1
            self._deadlines.discard(pending, pending.deadline)
            pending.set_exception(
                TooManyRequests("too many requests of this logical cluster, please try again later", retry_after_s=1)
            )

    def _settled(self, pending: Pending[Any], held_credit: bool) -> None:
        self._unanswered -= 1
        self._deadlines.discard(pending, pending.deadline)
        cluster = pending.request.cluster
        if not held_credit:
            self._credits.withdraw(cluster, pending)
        elif (follower := self._credits.give_back(cluster)) is not None:
            follower.lane.send(follower)

    def _welcome(self, hello: pb.Hello) -> None:
        self.shard = hello.shard
        if hello.credits_per_cluster:
            self._credits.limit = hello.credits_per_cluster


def _expire(pending: Pending[Any]) -> None:
    pending.lane.cancel(pending)
    pending.fail(Timeout("Timeout: the shard did not answer within the allotted timeout"))

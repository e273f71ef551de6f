"""The front's connections: for each shard of the map a ShardClient (two channels) and a WatchClient (a third).

Three connections, because a large answer or a burst of events on one must not hold up a small answer on another. What
clients send into pods and get from there has a fourth, made when it is first needed.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import grpc.aio
import orjson

from kcpfront.shard_metrics import ANSWER_S
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.client import ShardClient
from kcpshard.rpc.connection_stream import open_connection
from kcpshard.rpc.contract import Caller, Connection, MovedWatch, Watcher
from kcpshard.rpc.placement_client import PlacementClient, Refused, Unreachable
from kcpshard.rpc.transport import Dialler, Tls, choose
from kcpshard.rpc.watch_client import GrpcWatchTransport, WatchClient

_log = logging.getLogger(__name__)


class ShardChannels:
    """`run` keeps what `update` asks for connected. Set `on_moved` before the first watch is started."""

    def __init__(self, process: str, tls: Tls | None = None) -> None:
        self.on_moved: MovedWatch | None = None
        self.on_progress: Callable[[], None] = lambda: None  # of every shard's watches
        self._process, self._tls = process, tls
        self._dialler = Dialler(tls)
        self._links: dict[int, _ShardLink] = {}
        self._callers: dict[int, Caller] = {}
        self._watchers: dict[int, Watcher] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def callers(self) -> Mapping[int, Caller]:
        return self._callers

    @property
    def watchers(self) -> Mapping[int, Watcher]:
        return self._watchers

    async def connect(self, shard: int, ticket: bytes, head: bytes, deadline: float) -> Connection:
        """As Connector."""
        link = self._links.get(shard)
        if link is None:
            raise ServiceUnavailable("the shard of this connection cannot be reached", retry_after_s=1)
        timeout_s = deadline - asyncio.get_running_loop().time()
        return await open_connection(link.connections(), ticket, head, timeout_s)

    def dial(self, address: str) -> grpc.aio.Channel:
        """For whoever needs a channel of its own to a shard (the map feed)."""
        return self._dialler(address)

    def update(self, shards: Sequence[pb.ShardEntry]) -> None:
        wanted = {entry.number: entry.address for entry in shards if self._can_reach(entry)}
        for number, link in list(self._links.items()):
            if wanted.get(number) != link.address:
                self._let_go(number, link)
        for number, address in wanted.items():
            if number not in self._links:
                self._connect(number, address)

    async def run(self) -> None:
        """Until cancelled. Whoever still waits for an answer then gets ServiceUnavailable."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for link in self._links.values():
                    link.task = tasks.create_task(link.run())
                await asyncio.Event().wait()
        finally:
            self._tasks = None

    def statistics(self) -> Mapping[int, Mapping[str, object]]:
        return {
            number: {"address": link.address, **link.client.statistics()._asdict(), "watch": link.watch.statistics()}
            for number, link in self._links.items()
        }

    def counts(self) -> Mapping[int, Mapping[str, int]]:
        """By shard, for metrics: see `metrics` for the names. They begin anew when a shard's address changes."""
        return {number: link.counts() for number, link in self._links.items()}

    async def ask_statistics(self) -> Mapping[int, Mapping[str, Any] | None]:
        """What each shard counts, all asked at the same time; None: it did not answer."""
        links = dict(self._links)
        async with asyncio.TaskGroup() as tasks:
            asked = {number: tasks.create_task(link.ask_statistics()) for number, link in links.items()}
        return {number: task.result() for number, task in asked.items()}

    def _can_reach(self, entry: pb.ShardEntry) -> bool:
        """A shard that has not registered yet has no address; one that needs TLS is told about and left out."""
        if not entry.address:
            return False
        try:
            choose(entry.address, self._tls is not None)
        except ValueError as error:
            _log.error("shard %s cannot be reached: %s", entry.number, error)
            return False
        return True

    def _connect(self, number: int, address: str) -> None:
        link = self._links[number] = _ShardLink(self._process, number, address, self._dialler)
        link.watch.on_moved, link.watch.on_progress = self.on_moved, self.on_progress
        self._callers[number], self._watchers[number] = link.client, link.watch
        if self._tasks is not None:
            link.task = self._tasks.create_task(link.run())

    def _let_go(self, number: int, link: "_ShardLink") -> None:
        del self._links[number], self._callers[number], self._watchers[number]
        link.watch.give_up()
        if link.task is not None:
            link.task.cancel()


class _ShardLink:
    """The three connections to one shard."""

    def __init__(self, process: str, number: int, address: str, dialler: Dialler) -> None:
        self.address = address
        self._dialler, self._open = dialler, partial(dialler, address)
        self.client = ShardClient(process, self._open, f"shard-{number}", dialler.is_outdated)
        self._watch_channel = self._open()
        self._connections: grpc.aio.Channel | None = None
        self._replaced: list[grpc.aio.Channel] = []
        self.watch = WatchClient(GrpcWatchTransport(self._channel), process)
        self.task: asyncio.Task[None] | None = None

    def _channel(self) -> grpc.aio.Channel:
        """One that shows the certificate of this moment; streams on an older one go on until they end."""
        if self._dialler.is_outdated(self._watch_channel):
            self._replaced.append(self._watch_channel)
            self._watch_channel = self._open()
        return self._watch_channel

    def connections(self) -> grpc.aio.Channel:
        """A channel for streams of bytes; those on a replaced one go on until they end."""
        if self._connections is not None and self._dialler.is_outdated(self._connections):
            self._replaced.append(self._connections)
            self._connections = None
        if self._connections is None:
            self._connections = self._open()
        return self._connections

    def counts(self) -> Mapping[str, int]:
        client, watch = self.client.statistics(), self.watch.statistics()
        return {
            "lists": client.lists,
            "sent_again": client.sent_again,
            "streams_opened": client.streams_opened,
            "watch_links_opened": watch["links"],
            "watches_resumed": watch["resumed"],
        }

    async def ask_statistics(self) -> Mapping[str, Any] | None:
        try:
            placement = PlacementClient(self._channel())
            found: Mapping[str, Any] = orjson.loads(await placement.statistics(ANSWER_S, census=False))
        except (Refused, Unreachable):
            return None
        return found

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.client.run())
                tasks.create_task(self.watch.run())
        finally:
            for channel in (*self._replaced, self._watch_channel, self._connections):
                if channel is not None:
                    await channel.close()

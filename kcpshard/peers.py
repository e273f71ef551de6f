"""Other shards, as one shard sees them: requests to any logical cluster, wherever it is served.

What is ours is asked here; else the shard that the map names is asked, and where that one answers 421 the one that it
names. Every request has a deadline. Connections are made when they are first needed and kept.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from zlib import crc32

import grpc.aio

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.slots import SLOT_MASK, decode_table, empty_table
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.client import ShardClient
from kcpshard.rpc.contract import Caller, Result
from kcpshard.rpc.transport import Dialler

TIMEOUT_S = 10.0
_MAX_HOPS = 4
_PAUSE_S = 0.05


class Peers:
    """`local` answers for this shard; `dial` opens a channel to an address of the map."""

    def __init__(
        self, number: int, local: Caller, dial: Callable[[str], grpc.aio.Channel], tasks: asyncio.TaskGroup
    ) -> None:
        self._number, self._local, self._dial, self._tasks = number, local, dial, tasks
        self._loop = asyncio.get_running_loop()
        self._table = empty_table()
        self._pins: dict[str, int] = {}
        self._addresses: dict[int, str] = {}
        self._links: dict[int, tuple[str, ShardClient, asyncio.Task[None]]] = {}
        self._epoch = 0

    def adopt(self, message: pb.ShardMap) -> None:
        """A map, as it comes."""
        if message.epoch <= self._epoch:
            return
        self._epoch = message.epoch
        self._table = decode_table(message.slots)
        self._pins = {pin.cluster: pin.shard for pin in message.pins}
        self._addresses = {entry.number: entry.address for entry in message.shards if entry.address}
        for number, (address, _, task) in list(self._links.items()):
            if self._addresses.get(number) != address:
                del self._links[number]
                task.cancel()

    async def call(self, request: pb.Request, timeout_s: float = TIMEOUT_S) -> Result:
        """As the shard that serves `request.cluster` answers. Raises ServiceUnavailable, Timeout."""
        deadline = self._loop.time() + timeout_s
        number = self._owner(request.cluster)
        hops = 0
        while True:
            asked = pb.Request()
            asked.CopyFrom(request)
            found = await self._caller(number).call(asked, deadline)
            if found.moved_to < 0:
                return found
            hops += 1
            if hops > _MAX_HOPS:
                if self._loop.time() + _PAUSE_S > deadline:
                    raise ServiceUnavailable(f"no shard serves {request.cluster} now", retry_after_s=1)
                await asyncio.sleep(_PAUSE_S)
            number = found.moved_to or self._owner(request.cluster)

    def close(self) -> None:
        links, self._links = self._links, {}
        for _, _, task in links.values():
            task.cancel()

    def _owner(self, path: str) -> int:
        """Ours where nobody has told us of a map: there is only this shard."""
        return self._pins.get(path) or self._table[crc32(path.encode()) & SLOT_MASK] or self._number

    def _caller(self, number: int) -> Caller:
        if number == self._number:
            return self._local
        if number not in self._links:
            address = self._addresses.get(number)
            if address is None:
                raise ServiceUnavailable(f"shard {number} is not known yet", retry_after_s=1)
            is_outdated = self._dial.is_outdated if isinstance(self._dial, Dialler) else lambda _channel: False
            connect = partial(self._dial, address)
            client = ShardClient(f"shard-{self._number}", connect, f"shard-{number}", is_outdated)
            self._links[number] = address, client, self._tasks.create_task(client.run())
        return self._links[number][1]

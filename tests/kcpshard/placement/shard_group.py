"""Several shards' placement in one process, over real gRPC on unix sockets; disks survive `stop`."""

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio

from kcpshard.placement.shard_placement import ShardPlacement
from kcpshard.placement_service import AdminService, PlacementService
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.placement_client import MapFollower, PlacementClient
from kcpshard.rpc.roles import SHARD, fixed_roles
from kcpshard.rpc.transport import dial
from tests.kcpshard.placement.fake_store import FakeStore


def connect(address: str) -> Any:
    return dial(address, None)


class ShardGroup:
    """`start` returns when the shard serves; `stop` is a kill: what was not synced is gone."""

    def __init__(self, directory: Path, initial_shards: int) -> None:
        self.directory, self.initial_shards = directory, initial_shards
        self.stores: dict[int, FakeStore] = {}
        self.shards: dict[int, ShardPlacement] = {}
        self._servers: dict[int, tuple[grpc.aio.Server, PlacementService]] = {}
        self.running: dict[int, asyncio.Task[Any]] = {}

    def address(self, number: int) -> str:
        return f"unix:{self.directory}/{number}.sock"

    def entry(self, number: int) -> pb.ShardEntry:
        address = self.address(number)
        return pb.ShardEntry(number=number, name=f"shard-{number}", address=address, admin_address=address)

    async def start(self, number: int, peers: tuple[int, ...] = (1, 2)) -> ShardPlacement:
        loop = asyncio.get_running_loop()
        store = self.stores[number] = self.stores.get(number, FakeStore()).crash()
        store.wrote = lambda: loop.call_soon(store.sync) and None
        addresses = [self.address(peer) for peer in peers if peer != number]
        shard = ShardPlacement(store, self.entry(number), addresses, connect, self.initial_shards)
        try:
            async with asyncio.timeout(20):
                await shard.start()
        except BaseException:
            await shard.close()
            raise
        server, maps = grpc.aio.server(), PlacementService(shard, fixed_roles(SHARD))
        shard_pb2_grpc.add_ShardPlacementServicer_to_server(maps, server)  # type: ignore[no-untyped-call]
        admin = AdminService(shard, lambda: {"clusters": 3, "objects": 9}, _checkpoint)
        shard_pb2_grpc.add_ShardAdminServicer_to_server(admin, server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(self.address(number))
        await server.start()
        self.shards[number], self._servers[number] = shard, (server, maps)
        self.running[number] = loop.create_task(shard.run())
        return shard

    async def stop(self, number: int) -> None:
        server, maps = self._servers.pop(number)
        maps.close()
        await server.stop(None)
        task = self.running.pop(number)
        task.cancel()
        await asyncio.wait((task,))
        await self.shards.pop(number).close()

    async def close(self) -> None:
        for number in list(self._servers):
            await self.stop(number)

    def client(self, number: int) -> PlacementClient:
        return PlacementClient(connect(self.address(number)))

    def follower(self) -> MapFollower:
        return MapFollower(connect, "test")

    def owners(self) -> list[int]:
        """How many slots each running shard says it owns."""
        return [len(shard.ownership.granted()) for _, shard in sorted(self.shards.items())]


def _checkpoint(directory: str) -> int:
    Path(directory).mkdir()
    return 77


async def until(holds: Any, timeout_s: float = 60) -> None:
    """Polls; for conditions that other tasks bring about."""
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.01)

"""Several shards' placement with real stores, over real gRPC on unix sockets: what moves of logical clusters need."""

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio

from kcpshard.api.resource_versions import revision_at
from kcpshard.placement.key_objects import KeyObjects
from kcpshard.placement.shard_objects import ShardObjects
from kcpshard.placement.shard_placement import ShardPlacement
from kcpshard.placement_service import AdminService, PlacementService
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.placement_client import PlacementClient
from kcpshard.rpc.roles import SHARD, fixed_roles
from kcpshard.rpc.transport import SERVER_OPTIONS
from kcpshard.server import now_us
from kcpshard.storage.contract import LogicalCluster
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.verification import violations
from kcpshard.verbs.outcome import NotOwned
from tests.contracts.store_contract import durable
from tests.contracts.stored_objects import put
from tests.kcpshard.placement.shard_group import connect


class MovingGroup:
    """`start` returns when the shard serves; `stop` ends it as a kill does, its data stays."""

    def __init__(self, directory: Path, initial_shards: int, grace_s: float = 0.0, with_system: bool = False) -> None:
        """`with_system`: the logical clusters of the installation's own are there too."""
        self.with_system = with_system
        self.directory, self.initial_shards, self.grace_s = directory, initial_shards, grace_s
        self.engines: dict[int, MemoryEngine] = {}
        self.stores: dict[int, Store] = {}
        self.shards: dict[int, ShardPlacement] = {}
        self.released: list[tuple[int, str, int, int]] = []  # shard, path, moved to, revision
        self._servers: dict[int, tuple[grpc.aio.Server, PlacementService]] = {}
        self._running: dict[int, list[asyncio.Task[Any]]] = {}

    def address(self, number: int) -> str:
        return f"unix:{self.directory}/{number}.sock"

    async def start(self, number: int) -> ShardPlacement:
        engine = self.engines.setdefault(number, MemoryEngine())
        store = self.stores[number] = Store(engine, number, now_us)
        address = self.address(number)
        entry = pb.ShardEntry(number=number, name=f"shard-{number}", address=address, admin_address=address)
        peers = [self.address(peer) for peer in (1, 2) if peer != number]
        parts: dict[str, Any] = {}
        if self.with_system:
            parts = {"show": ShardObjects(store, now_us).write, "keys": KeyObjects(store, now_us)}
        shard = ShardPlacement(
            store, entry, peers, connect, self.initial_shards, departed_grace_s=self.grace_s, now_us=now_us, **parts
        )
        shard.departures.on_release = lambda path, to, revision: self.released.append((number, path, to, revision))
        async with asyncio.timeout(20):
            await shard.start()
        server, maps = grpc.aio.server(options=SERVER_OPTIONS), PlacementService(shard, fixed_roles(SHARD))
        shard_pb2_grpc.add_ShardPlacementServicer_to_server(maps, server)  # type: ignore[no-untyped-call]
        admin = AdminService(shard, dict, lambda directory: 0, store.census)
        shard_pb2_grpc.add_ShardAdminServicer_to_server(admin, server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(address)
        await server.start()
        self.shards[number], self._servers[number] = shard, (server, maps)
        loop = asyncio.get_running_loop()
        parts_of_life = (shard.run(), shard.move_clusters(), shard.keep_keys())
        self._running[number] = [loop.create_task(part) for part in parts_of_life]
        return shard

    async def start_all(self) -> None:
        """The initial shards: they wait for each other."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(1, self.initial_shards + 1):
                tasks.create_task(self.start(number))

    async def stop(self, number: int) -> None:
        for task in self._running.pop(number):
            task.cancel()
            await asyncio.wait((task,))
        server, maps = self._servers.pop(number)
        maps.close()
        await server.stop(None)
        await self.shards.pop(number).close()
        await self.stores.pop(number).close()

    async def restart(self, number: int) -> None:
        if number in self._servers:
            await self.stop(number)
        await self.start(number)

    async def close(self) -> None:
        for number in list(self._servers):
            await self.stop(number)

    def client(self, number: int) -> PlacementClient:
        return PlacementClient(connect(self.address(number)))

    # --- what the tests look at

    def owners(self, path: str) -> list[int]:
        """The shards that serve the path."""
        return [number for number, shard in sorted(self.shards.items()) if shard.ownership.serves(path)]

    def owner(self, path: str) -> int:
        (found,) = self.owners(path)
        return found

    async def bear(self, path: str, objects: int = 3) -> int:
        """A logical cluster where its slot is; the shard's number."""
        number = self.owner(path)
        _, pending = self.stores[number].create_cluster(path, [put(f"o{n}") for n in range(objects)])
        await durable(pending.group)
        return number

    def cluster(self, path: str) -> LogicalCluster:
        found = self.stores[self.owner(path)].find_cluster(path)
        assert found is not None
        return found

    async def write(self, path: str, name: str, data: str = "") -> int:
        """As a verb does: owned in the turn of the commit. The revision, durable. Raises NotOwned."""
        for number in self.owners(path):
            cluster = self.stores[number].pending_cluster(path)
            assert cluster is not None
            pending = self.stores[number].commit(cluster, [put(name, data=data)])
            await durable(pending.group)
            return pending.revision
        raise NotOwned(0)

    def names(self, path: str) -> set[str]:
        store = self.stores[self.owner(path)]
        return {
            item.name for item in store.scan(self.cluster(path), "configmaps", "", store.durable_revision, None, 10_000)
        }

    def violations(self) -> list[object]:
        return [found for engine in self.engines.values() for found in violations(engine)]

    def newest(self) -> int:
        return revision_at(now_us(), 0)

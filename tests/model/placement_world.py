"""Shards whose processes die, disks that lose what was not synced, a network that delays, doubles and loses commands.

Everything runs in virtual time from one seed. `check` is called after every write to any store and after every sync:
at no moment may two shards serve the same path, or a logical cluster live where it is not served.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from kcpshard.api.slots import SLOTS, decode_table, slot_of
from kcpshard.placement.keeper import Keeper
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.membership import is_keeper
from kcpshard.placement.ownership import Ownership
from kcpshard.placement.ownership_commands import OwnershipCommands
from kcpshard.placement.ownership_states import OwnershipConflict
from kcpshard.placement.shard_map import granted_slots, initial_map, pins_of
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Refused, Unreachable
from kcpshard.storage.durability import durable
from kcpshard.verbs.outcome import NotOwned
from tests.kcpshard.placement.fake_store import FakeStore, NoClusters

Reply = TypeVar("Reply")


class Process:
    """One life of a shard's process."""

    def __init__(self, world: "World", number: int, store: FakeStore) -> None:
        self.number, self.store = number, store
        store.wrote = world.schedule_sync(store)
        self.ownership = Ownership(store, number)
        self.maps = MapCopy(store)
        self.commands = OwnershipCommands(store, self.ownership)
        self.keeper: Keeper | None = None
        if is_keeper(self.ownership):
            self.keeper = Keeper(store, self.maps, world.remote, lambda number: NoClusters())
        self.main: asyncio.Task[None] | None = None

    def serves(self, path: str) -> bool:
        try:
            self.ownership.check(path)
        except NotOwned:
            return False
        return True


class World:
    def __init__(self, seed: int, initial_shards: int) -> None:
        self.random = random.Random(seed)
        self.initial_shards = initial_shards
        self.stores: dict[int, FakeStore] = {}
        self.running: dict[int, Process] = {}
        self.calm = False  # no more faults
        self.accepted_births: list[tuple[str, int]] = []
        self._tenants = 0
        self._late: list[asyncio.Task[None]] = []

    # --- time and faults

    def schedule_sync(self, store: FakeStore) -> Callable[[], None]:
        def wrote() -> None:
            asyncio.get_running_loop().call_later(self.random.uniform(0.001, 0.01), sync, store.writes)

        def sync(upto: int) -> None:
            if any(p.store is store for p in self.running.values()):
                store.sync(upto)
                self.check()

        return wrote

    async def start_shard(self, number: int) -> None:
        """A process starts and, if it is new, registers and claims; as `membership` does."""
        store = self.stores.setdefault(number, FakeStore())
        process = self.running[number] = Process(self, number, store)
        process.main = asyncio.get_running_loop().create_task(self._main(process))

    async def _main(self, process: Process) -> None:
        ownership = process.ownership
        if not ownership.data_id:
            await durable(ownership.begin())
        if process.keeper and not process.maps.accepted.epoch:
            await durable(process.maps.put(initial_map(self.initial_shards)))
        if not ownership.epoch:
            shard_map = await self._register(process)
            await durable(ownership.claim(granted_slots(shard_map, process.number), pins_of(shard_map)))
        await self._register(process)
        if process.keeper:
            await process.keeper.run()

    async def _register(self, process: Process) -> pb.ShardMap:
        entry = pb.ShardEntry(number=process.number, name=f"shard-{process.number}", data_id=process.ownership.data_id)
        while True:
            keeper = next((p.keeper for p in self.running.values() if p.keeper and p.maps.accepted.epoch), None)
            request = pb.RegisterShardRequest(shard=entry, ownership_epoch=process.ownership.epoch)
            if keeper is not None:
                return await keeper.register(request)
            await asyncio.sleep(0.05)

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        assert process.main is not None
        if process.main.done() and not process.main.cancelled() and process.main.exception():
            process.main.result()
        process.main.cancel()
        process.store.wrote = lambda: None
        self.stores[number] = process.store.crash()

    # --- the network

    def remote(self, entry: pb.ShardEntry) -> "RemoteShard":
        return RemoteShard(self, entry.number)

    async def deliver(self, number: int, call: Callable[[OwnershipCommands], Awaitable[Reply]]) -> Reply:
        if not self.calm:
            self._disturb()
        await asyncio.sleep(self.random.uniform(0, 0.02))
        if not self.calm and self.random.random() < 0.2:
            self._late.append(asyncio.get_running_loop().create_task(self._deliver_late(number, call)))
        process = self.running.get(number)
        if process is None or (not self.calm and self.random.random() < 0.1):
            raise Unreachable("down, or the question was lost")
        try:
            reply = await call(process.commands)
        except OwnershipConflict as error:
            raise Refused(str(error)) from error
        if not self.calm and self.running.get(number) is process and self.random.random() < 0.2:
            self.kill(number)  # what the answer promises must be on the disk already
            return reply
        await asyncio.sleep(self.random.uniform(0, 0.02))
        if self.running.get(number) is not process or (not self.calm and self.random.random() < 0.1):
            raise Unreachable("died, or the answer was lost")
        return reply

    def _disturb(self) -> None:
        """First writes to logical clusters around the time when a command is carried out."""
        for _ in range(8):
            self._tenants += 1
            asyncio.get_running_loop().call_later(self.random.uniform(0, 0.04), self.bear, f"late-{self._tenants}")

    async def _deliver_late(self, number: int, call: Callable[[OwnershipCommands], Awaitable[object]]) -> None:
        """A copy of a command comes again, perhaps long after the move."""
        await asyncio.sleep(self.random.uniform(0, 3))
        process = self.running.get(number)
        if process is not None:
            try:
                await call(process.commands)
            except OwnershipConflict:
                return

    # --- tenants

    def bear(self, path: str) -> None:
        """A first write: accepted by whichever shard serves the path now."""
        for process in self.running.values():
            if process.serves(path):
                group = process.store.create(path)
                group.when_durable(partial(self.accepted_births.append, (path, process.number)))
                return

    def check(self) -> None:
        """Every slot has at most one server. (Paths without a record follow their slot; pins are looked at too.)"""
        for path in self.sample:
            serving = [p.number for p in self.running.values() if p.serves(path)]
            assert len(serving) <= 1, f"{path} is served by {serving}"
        for path, number in self.accepted_births:
            homes = [p.number for p in self.running.values() if p.serves(path)]
            assert homes in ([], [number]), f"{path} was born at {number} and is served by {homes}"

    def truth(self) -> list[int]:
        """Who serves each slot, by the shards themselves."""
        owners = [0] * SLOTS
        for process in self.running.values():
            for slot in process.ownership.granted():
                assert not owners[slot], f"slot {slot} is granted to {owners[slot]} and {process.number}"
                owners[slot] = process.number
        return owners

    def published(self) -> list[int]:
        keeper = next(p for p in self.running.values() if p.keeper)
        return list(decode_table(keeper.maps.current.slots))

    sample: list[str] = ["system:shards", *(f"tenant-{n}" for n in range(150))]  # noqa: RUF012 (constant)


class RemoteShard:
    def __init__(self, world: World, number: int) -> None:
        self._world, self._number = world, number

    async def grant(self, request: pb.GrantSlotsRequest) -> pb.OwnershipResponse:
        return await self._world.deliver(self._number, lambda commands: commands.grant(request))

    async def seal(self, request: pb.SealSlotsRequest) -> pb.OwnershipResponse:
        return await self._world.deliver(self._number, lambda commands: commands.seal(request))


def occupied_slots(world: World) -> set[int]:
    return {slot_of(path) for store in world.stores.values() for path in store.born}

"""Everything of placement in one shard, put together: what `server` opens, starts, runs and serves.

placement = ShardPlacement(store, entry, peers, dial, initial_shards, …)   # raises DamagedOwnership
await placement.start()                                                # raises MayNotServe
verbs use placement.ownership; placement_service serves placement; a task runs placement.run()
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NoReturn

import orjson

from kcpshard.placement.arrivals import Arrivals
from kcpshard.placement.cluster_mover import ClusterCommands
from kcpshard.placement.departures import Departures
from kcpshard.placement.keeper import Keeper, SlotCommands
from kcpshard.placement.key_rotation import KeyRotation, Keys
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.membership import Membership, is_keeper
from kcpshard.placement.ownership import Ownership
from kcpshard.placement.ownership_commands import OwnershipCommands, PlacementStore
from kcpshard.placement.ownership_states import ClusterState
from kcpshard.placement.shard_map import KEYS_CLUSTER, entry_of, pins_of
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Dial, MapFollower, PlacementClient, Unreachable, connect
from kcpshard.rpc.transport import Dialler
from kcpshard.storage.durability import durable


class LocalClusters:
    """What PlacementClient asks of another shard, of this one."""

    def __init__(self, arrivals: Arrivals, commands: OwnershipCommands) -> None:
        self.take_cluster, self.cancel_take = arrivals.take, arrivals.cancel
        self.keep_cluster, self.point_cluster, self.find_clusters = commands.keep, commands.point, commands.find


class ShardPlacement:
    """`entry` names the shard's number and addresses; `peers` are admin addresses of other shards; `show` is for the
    keeper, see there; `keys` are the signing keys' objects, which the keeper looks after: None for none."""

    def __init__(
        self,
        store: PlacementStore,
        entry: pb.ShardEntry,
        peers: Sequence[str],
        dial: Dial,
        initial_shards: int,
        show: Callable[[pb.ShardMap], None] = lambda shard_map: None,
        keys: Keys | None = None,
        now_us: Callable[[], int] = lambda: 0,
        departed_grace_s: float = 0.0,
    ) -> None:
        self._dial = dial
        self._number = entry.number
        self._initial_shards = initial_shards
        self._clients: dict[str, PlacementClient] = {}
        self._replaced: list[PlacementClient] = []
        self.ownership = Ownership(store, entry.number)
        self.maps = MapCopy(store)
        self.commands = OwnershipCommands(store, self.ownership)
        self.departures = Departures(store, self.ownership, self._shard_at, departed_grace_s)
        self.arrivals = Arrivals(store, self.ownership, self.departures, self._shard_at)
        here = LocalClusters(self.arrivals, self.commands)

        def clusters(number: int) -> ClusterCommands:
            return here if number == self._number else self._shard_at(number)

        self.keeper: Keeper | None = None
        if is_keeper(self.ownership):
            self.keeper = Keeper(store, self.maps, self._commands_of, clusters, show)
        self.key_rotation: KeyRotation | None = None
        if self.keeper is not None and keys is not None:
            self.key_rotation = KeyRotation(keys, self.maps, self.keeper.publish_keys, self._known_epoch, now_us)
        follower = MapFollower(dial, f"shard-{entry.number}")
        self._membership = Membership(self.ownership, self.maps, entry, peers, self._client, follower, self.keeper)

    async def start(self) -> None:
        """Until this shard may serve. Raises MayNotServe with a sentence for the operator."""
        await self._membership.start(self._initial_shards)

    async def run(self) -> NoReturn:
        """As long as the shard serves. Raises MayNotServe when it must stop: another directory is this shard now."""
        await self._membership.run()

    async def move_clusters(self) -> None:
        """As long as the shard serves: logical clusters come and go."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.arrivals.run())
            tasks.create_task(self.departures.run())

    async def close(self) -> None:
        """After `run` was cancelled."""
        clients, self._clients = [*self._clients.values(), *self._replaced], {}
        for client in clients:
            await client.close()

    async def keep_keys(self) -> None:
        """At the keeper, as long as the shard serves; elsewhere there is nothing to do."""
        if self.key_rotation is not None:
            await self._take_keys_cluster()
            await self.key_rotation.run()

    async def _take_keys_cluster(self) -> None:
        """Installations made before there were keys have no pin for them."""
        if KEYS_CLUSTER in pins_of(self.maps.accepted):
            return
        assert self.keeper is not None
        if self.ownership.cluster_state(KEYS_CLUSTER) is ClusterState.ELSEWHERE:
            group = self.ownership.adopt(self.maps.accepted.epoch, KEYS_CLUSTER)
            if group is not None:
                await durable(group)
        await self.keeper.pin(KEYS_CLUSTER, self._number)

    async def _known_epoch(self, entry: pb.ShardEntry) -> int:
        """How new a shard's copy of the map is."""
        if entry.number == self._number:
            return self.maps.current.epoch
        found = orjson.loads(await self._client(entry.admin_address).statistics(census=False))
        return int(found.get("mapEpoch", 0))

    def _commands_of(self, entry: pb.ShardEntry) -> SlotCommands:
        return self.commands if entry.number == self._number else self._client(entry.admin_address)

    def _shard_at(self, number: int) -> PlacementClient:
        entry = entry_of(self.maps.accepted, number)
        if entry is None or not entry.admin_address:
            raise Unreachable(f"the map does not say where shard {number} is")
        return self._client(entry.admin_address)

    def _client(self, address: str) -> PlacementClient:
        """One channel per address, kept: gRPC reconnects."""
        known = self._clients.get(address)
        if known is None or (isinstance(self._dial, Dialler) and self._dial.is_outdated(known.channel)):
            if known is not None:
                self._replaced.append(known)  # what is under way on it may end
            known = self._clients[address] = PlacementClient(connect(self._dial, address))
        return known

"""Everything of placement in one shard, put together: what `server` opens, starts, runs and serves.

placement = ShardPlacement(store, entry, peers, dial, initial_shards, …)   # raises DamagedOwnership
await placement.start()                                                # raises MayNotServe
verbs use placement.ownership; placement_service serves placement; a task runs placement.run()
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

import orjson

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.placement import keeper_records
from kcpshard.placement.arrivals import Arrivals
from kcpshard.placement.cluster_mover import ClusterCommands
from kcpshard.placement.departures import Departures
from kcpshard.placement.keeper import Keeper, SlotCommands
from kcpshard.placement.keeper_role import KeeperRole
from kcpshard.placement.key_rotation import KeyRotation, Keys
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.membership import Membership, is_keeper
from kcpshard.placement.ownership import Ownership
from kcpshard.placement.ownership_commands import OwnershipCommands, PlacementStore
from kcpshard.placement.ownership_states import ClusterState
from kcpshard.placement.shard_changes import ChangeRefused
from kcpshard.placement.shard_map import KEEPER_CLUSTER, KEYS_CLUSTER, entry_of, owner_of, pins_of
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Dial, MapFollower, NotKeeper, PlacementClient, Refused, Unreachable, connect
from kcpshard.rpc.transport import Dialler
from kcpshard.storage.durability import durable
from kcpshard.verbs.outcome import PlacementRefused


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

        self._store = store
        self._role = KeeperRole(lambda: Keeper(store, self.maps, self._commands_of, clusters, show))
        if is_keeper(self.ownership):
            self._role.gain()
        self._pass_role_on()
        self._rotation: KeyRotation | None = None
        if keys is not None:
            self._rotation = KeyRotation(keys, self.maps, self._publish_keys, self._known_epoch, now_us, self._has_keys)
        follower = MapFollower(dial, f"shard-{entry.number}")
        self._membership = Membership(self.ownership, self.maps, entry, peers, self._client, follower, self._role)

    @property
    def keeper(self) -> Keeper | None:
        """Where this shard keeps the map, just now."""
        return self._role.keeper

    @property
    def key_rotation(self) -> KeyRotation | None:
        """Where this shard looks after the signing keys, just now."""
        return self._rotation if self._has_keys() else None

    async def reserve(self, name: str) -> tuple[int, str]:
        """Number and name for a shard that joins. Raises RegistrationRefused, RoleLost; Refused, Unreachable, NotKeeper
        of the shard that keeps the map."""
        if self.keeper is not None:
            return await self.keeper.reserve(name)
        return await self._shard_at(owner_of(self.maps.accepted, KEEPER_CLUSTER)).reserve(name)

    async def place(self, path: str, beside: str) -> None:
        """Until `path`, where nothing lives, is served by the shard of `beside`. Raises PlacementRefused with a
        sentence, ServiceUnavailable: to be tried again."""
        try:
            if self.keeper is not None:
                await self.keeper.place(path, beside)
            else:
                await self._shard_at(owner_of(self.maps.accepted, KEEPER_CLUSTER)).place_cluster(path, beside)
        except (ChangeRefused, Refused) as refusal:
            raise PlacementRefused(str(refusal)) from refusal
        except (Unreachable, NotKeeper, keeper_records.RoleLost) as error:
            raise ServiceUnavailable(f"{path} cannot be placed now: {error}", retry_after_s=1) from error

    # --- the role of the keeper, which goes with system:shards

    def _pass_role_on(self) -> None:
        def sealed(path: str) -> None:
            if path == KEEPER_CLUSTER:
                self._role.lose()

        def opened(path: str) -> None:
            if path == KEEPER_CLUSTER:
                self._role.gain()

        def state(path: str) -> pb.KeeperState | None:
            return keeper_records.handed_over(self._store, self.maps) if path == KEEPER_CLUSTER else None

        self.departures.on_seal, self.departures.on_open, self.departures.keeper_state = sealed, opened, state
        self.arrivals.take_keeper_state = partial(keeper_records.take_over, self._store, self.maps)
        self.arrivals.on_adopted = opened

    def _has_keys(self) -> bool:
        return self.keeper is not None and self.ownership.serves(KEYS_CLUSTER)

    async def _publish_keys(self, keys: Sequence[pb.SigningKey]) -> pb.ShardMap:
        if self.keeper is None:
            raise keeper_records.RoleLost("another shard keeps the map")
        return await self.keeper.publish_keys(keys)

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
        """As long as the shard serves; there is something to do at the keeper only."""
        if self._rotation is not None:
            if self.keeper is not None:
                await self._take_keys_cluster(self.keeper)
            await self._rotation.run()

    async def _take_keys_cluster(self, keeper: Keeper) -> None:
        """Installations made before there were keys have no pin for them."""
        if KEYS_CLUSTER in pins_of(self.maps.accepted):
            return
        if self.ownership.cluster_state(KEYS_CLUSTER) is ClusterState.ELSEWHERE:
            group = self.ownership.adopt(self.maps.accepted.epoch, KEYS_CLUSTER)
            if group is not None:
                await durable(group)
        await keeper.pin(KEYS_CLUSTER, self._number)

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

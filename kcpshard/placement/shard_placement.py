"""Everything of placement in one shard, put together: what `server` opens, starts, runs and serves.

placement = ShardPlacement(store, entry, peers, dial, initial_shards)   # raises DamagedOwnership
await placement.start()                                                # raises MayNotServe
verbs use placement.ownership; placement_service serves placement; a task runs placement.run()
"""

from collections.abc import Callable, Sequence
from typing import NoReturn

from kcpshard.placement.keeper import Keeper, SlotCommands
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.membership import Membership, is_keeper
from kcpshard.placement.ownership import Ownership
from kcpshard.placement.ownership_commands import OwnershipCommands, PlacementStore
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Dial, MapFollower, PlacementClient, connect


class ShardPlacement:
    """`entry` names the shard's number and addresses; `peers` are admin addresses of other shards; `show` is for the
    keeper, see there."""

    def __init__(
        self,
        store: PlacementStore,
        entry: pb.ShardEntry,
        peers: Sequence[str],
        dial: Dial,
        initial_shards: int,
        show: Callable[[pb.ShardMap], None] = lambda shard_map: None,
    ) -> None:
        self._dial = dial
        self._number = entry.number
        self._initial_shards = initial_shards
        self._clients: dict[str, PlacementClient] = {}
        self.ownership = Ownership(store, entry.number)
        self.maps = MapCopy(store)
        self.commands = OwnershipCommands(store, self.ownership)
        self.keeper = Keeper(store, self.maps, self._commands_of, show) if is_keeper(self.ownership) else None
        follower = MapFollower(dial, f"shard-{entry.number}")
        self._membership = Membership(self.ownership, self.maps, entry, peers, self._client, follower, self.keeper)

    async def start(self) -> None:
        """Until this shard may serve. Raises MayNotServe with a sentence for the operator."""
        await self._membership.start(self._initial_shards)

    async def run(self) -> NoReturn:
        """As long as the shard serves. Raises MayNotServe when it must stop: another directory is this shard now."""
        await self._membership.run()

    async def close(self) -> None:
        """After `run` was cancelled."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    def _commands_of(self, entry: pb.ShardEntry) -> SlotCommands:
        return self.commands if entry.number == self._number else self._client(entry.admin_address)

    def _client(self, address: str) -> PlacementClient:
        """One channel per address, kept: gRPC reconnects."""
        if address not in self._clients:
            self._clients[address] = PlacementClient(connect(self._dial, address))
        return self._clients[address]

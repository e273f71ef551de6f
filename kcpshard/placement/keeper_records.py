"""What the keeper writes, and the fence that ends it: the role goes with the logical cluster system:shards.

Whoever owns system:shards is the keeper. In the loop turn in which it is sealed for another shard these records are
closed, so that nothing is written that the other shard would not get. What it gets is `state`: the map and the moves as
they were then, which stay as they are here until the other shard has adopted the logical cluster, with them.
"""

from collections.abc import Mapping

from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.ownership_records import MetaStore
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import Group

SLOT_MOVE_KEY = b"placement/move"
CLUSTER_MOVES_KEY = b"placement/cluster-moves"


class RoleLost(Exception):
    """Another shard keeps the map from now on."""


class KeeperRecords:
    """The map and the meta records, as long as this shard is the keeper: afterwards every write raises RoleLost."""

    def __init__(self, store: MetaStore, maps: MapCopy) -> None:
        self._store, self._maps = store, maps
        self.closed = False

    @property
    def accepted(self) -> pb.ShardMap:
        return self._maps.accepted

    @property
    def current(self) -> pb.ShardMap:
        return self._maps.current

    def check(self) -> None:
        """Raises RoleLost."""
        if self.closed:
            raise RoleLost("another shard keeps the map")

    def get_meta(self, key: bytes) -> bytes | None:
        return self._store.get_meta(key)

    def put_meta(self, records: Mapping[bytes, bytes | None]) -> Group:
        self.check()
        return self._store.put_meta(records)

    def put(self, message: pb.ShardMap, also: Mapping[bytes, bytes | None] | None = None) -> Group:
        """As MapCopy.put."""
        self.check()
        return self._maps.put(message, also)

    async def settled(self) -> pb.ShardMap:
        """As MapCopy.settled."""
        return await self._maps.settled()


def handed_over(store: MetaStore, maps: MapCopy) -> pb.KeeperState:
    """For the shard that takes the role."""
    return pb.KeeperState(map=maps.accepted, moves=store.get_meta(CLUSTER_MOVES_KEY) or b"")


def take_over(store: MetaStore, maps: MapCopy, state: pb.KeeperState) -> None:
    """In the turn in which the logical cluster is adopted: of one group with it."""
    records = {CLUSTER_MOVES_KEY: state.moves or None, SLOT_MOVE_KEY: None}
    if state.map.epoch > maps.accepted.epoch:
        maps.put(state.map, records)
    else:
        store.put_meta(records)

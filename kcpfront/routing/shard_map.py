"""Which shard to ask for a logical cluster: slot table, pins and what shards have answered. Pure.

The map is a hint: ownership is decided at the shard, and a 421 answer teaches us better. What was learned is
forgotten with the next map, which either knows it or is corrected by the next answer.
"""

from collections.abc import Sequence
from zlib import crc32

from kcpshard.api.slots import SLOT_MASK, decode_table, empty_table
from kcpshard.rpc import shard_pb2 as pb

# Learned owners kept; the oldest goes first, and costs one more redirect if it is asked again.
MAX_MOVED = 8192


class ShardMap:
    """The newest map seen. An older one never replaces it."""

    __slots__ = ("_moved", "_pins", "_table", "epoch", "shards")

    def __init__(self) -> None:
        self.epoch = 0
        self.shards: Sequence[pb.ShardEntry] = ()
        self._table = empty_table()
        self._pins: dict[str, int] = {}
        self._moved: dict[str, int] = {}

    def owner(self, path: str) -> int:
        """The number of the shard to ask; 0: nobody that we know of."""
        if self._moved and (shard := self._moved.get(path)):
            return shard
        if self._pins and (shard := self._pins.get(path)):
            return shard
        return self._table[crc32(path.encode()) & SLOT_MASK]

    def adopt(self, message: pb.ShardMap) -> bool:
        """Take a newer map; False if it is not newer. Raises ValueError for a damaged one."""
        if message.epoch <= self.epoch:
            return False
        self._table = decode_table(message.slots)
        self._pins = {pin.cluster: pin.shard for pin in message.pins}
        self.shards = tuple(message.shards)
        self.epoch = message.epoch
        self._moved.clear()
        return True

    def learn(self, path: str, moved_to: int) -> None:
        """A shard answered that it does not own `path`: `moved_to` does, or with 0 only the map can tell."""
        self._moved.pop(path, None)
        if not moved_to:
            return
        while len(self._moved) >= MAX_MOVED:
            del self._moved[next(iter(self._moved))]
        self._moved[path] = moved_to

    def learned(self) -> int:
        return len(self._moved)

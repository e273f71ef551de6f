"""Takes away what is left of a logical cluster that has moved away, or of a copy that came to nothing; in slices.

`departed∕id` is written first and removed last, so that a shard which died in between goes on where it was.
"""

import asyncio

from kcpshard import failpoints
from kcpshard.storage import keyspace
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.writer import WriteGroup, Writer

_SLICE = 128  # keys removed in one group: under a millisecond of the loop, but for values of megabytes


class RangeRemoval:
    def __init__(self, engine: KeyValueEngine, writer: Writer) -> None:
        self._engine, self._writer = engine, writer

    def unlisted(self) -> set[int]:
        """Ids of ranges that are to be removed or belong to a copy: no logical cluster answers for them."""
        found: set[int] = set()
        for prefix in (keyspace.ARRIVING, keyspace.DEPARTED):
            for key in self._writer.scan_meta(prefix, keyspace.after_prefix(prefix), keyspace.MAX_CHANGES):
                found.add(int.from_bytes(key[len(prefix) :], "big"))
        return found

    def begin(self, group: WriteGroup, cluster_id: int) -> None:
        """From now on it is to be removed, over a restart too; in the batch that unlinks it."""
        self._writer.put_meta(group, keyspace.departed_key(cluster_id), b"")

    def types(self, cluster_id: int) -> list[str]:
        """The group resources of which the range holds objects: one look into it for each."""
        prefix = keyspace.number(cluster_id)
        start, end, found = prefix, keyspace.after_prefix(prefix), list[str]()
        while pairs := self._engine.scan(keyspace.OBJECTS, start, end, 1):
            raw = pairs[0][0][8 : pairs[0][0].index(b"\0", 8)]
            found.append(raw.decode())
            start = prefix + raw + b"\1"
        return found

    async def run(self, cluster_id: int) -> int:
        """Remove everything of that id, then the mark; returns how many keys went."""
        removed = 0
        prefix = keyspace.number(cluster_id)
        for family in (keyspace.OBJECTS, keyspace.VERSIONS, keyspace.LOG):
            removed += await self._clear(family, prefix)
        for meta in (keyspace.OWNERS, keyspace.REMOVED):
            removed += await self._clear(keyspace.META, meta + prefix)
        group = self._writer.gather()
        self._writer.put_meta(group, keyspace.departed_key(cluster_id), None)
        await self._writer.settled(group)
        return removed

    async def _clear(self, family: str, prefix: bytes) -> int:
        removed, end = 0, keyspace.after_prefix(prefix)
        while True:
            self._writer.write_now()  # what gathers may be of this range, and is not seen by a scan
            pairs = self._engine.scan(family, prefix, end, _SLICE)
            if not pairs:
                return removed
            group = self._writer.gather()
            for key, _ in pairs:
                group.batch.delete(family, key)
                if family == keyspace.LOG:
                    self._leave_order(group, key)
            removed += len(pairs)
            self._writer.write_now()
            if failpoints.armed:
                failpoints.reach("moves.clearing")
            await self._writer.settled(group)
            await asyncio.sleep(0)

    def _leave_order(self, group: WriteGroup, key: bytes) -> None:
        order = self._engine.get(keyspace.ORDER, key[8:16])
        if order is not None and order[:8] == key[:8]:
            group.batch.delete(keyspace.ORDER, key[8:16])

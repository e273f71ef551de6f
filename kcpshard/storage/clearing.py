"""Removes what is left of logical clusters that are no more: log, versions, index entries, and at last their records.

A dead one is a record in `meta` (`dead`∕id → when it died). It is cleared once SETTLE_US have passed in which a watch
that was interrupted may still resume and hear of its end.
"""

import asyncio

from kcpshard.storage import commit_log, keyspace
from kcpshard.storage.compaction import Compaction
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.range_removal import RangeRemoval
from kcpshard.storage.writer import WriteGroup, Writer

SETTLE_US = 5_000_000
_PAGE = 128


class Clearing:
    def __init__(self, engine: KeyValueEngine, writer: Writer, compaction: Compaction) -> None:
        self._engine, self._writer, self._compaction = engine, writer, compaction
        self._removal = RangeRemoval(engine, writer, self._also, self._last, "clusters.clearing")
        self.cleared = 0  # logical clusters

    async def run(self, now_us: int) -> int:
        """Everything that is due; returns how many logical clusters have gone."""
        before, after = self.cleared, b""
        end = keyspace.after_prefix(keyspace.DEAD)
        while pairs := self._engine.scan(keyspace.META, keyspace.DEAD + after, end, _PAGE):
            for key, died in pairs:
                if int.from_bytes(died, "big") + SETTLE_US <= now_us:
                    self.cleared += await self._removal.run(int.from_bytes(key[-8:], "big")) is not None
            after = pairs[-1][0][len(keyspace.DEAD) :] + b"\0"
            await asyncio.sleep(0)
        return self.cleared - before

    def _also(self, group: WriteGroup, family: str, key: bytes, value: bytes) -> None:
        if family == keyspace.LOG:
            group.batch.delete(keyspace.ORDER, key[8:16])
            self._compaction.note_lost(group, commit_log.retention_of(value), int.from_bytes(key[8:16], "big"))
        else:
            group_resource = key[8:].partition(b"\0")[0].decode()
            self._writer.put_meta(group, keyspace.count_key(group_resource, key[:8]), None)

    def _last(self, group: WriteGroup, cluster_id: int) -> None:
        for record in (keyspace.name_key, keyspace.usage_key, keyspace.content_key, keyspace.dead_key):
            self._writer.put_meta(group, record(cluster_id), None)

"""Removes what is left of logical clusters that are no more: log, versions, index entries, and at last their records.

A dead one is a record in `meta` (`dead`/id → when it died), so that a restart goes on where it was. It is cleared in
slices, once SETTLE_US have passed in which a watch that was interrupted may still resume and hear of its end. Single
deletions, not range deletes: thousands of these in the memtable make every read slow.
"""

import asyncio
import time

from kcpshard.storage import commit_log, keyspace
from kcpshard.storage.compaction import Compaction
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.writer import WriteGroup, Writer

SETTLE_US = 5_000_000
_SLICE_S = 0.002  # of the loop
_PAGE = 128
_FAMILIES = (keyspace.LOG, keyspace.VERSIONS, keyspace.OBJECTS)


class Clearing:
    def __init__(self, engine: KeyValueEngine, writer: Writer, compaction: Compaction) -> None:
        self._engine, self._writer, self._compaction = engine, writer, compaction
        self.cleared = 0  # logical clusters

    async def run(self, now_us: int) -> int:
        """Everything that is due; returns how many logical clusters have gone."""
        before, after = self.cleared, b""
        end = keyspace.after_prefix(keyspace.DEAD)
        while pairs := self._engine.scan(keyspace.META, keyspace.DEAD + after, end, _PAGE):
            due: list[int] = []
            for key, died in pairs:
                if int.from_bytes(died, "big") + SETTLE_US <= now_us:
                    due.append(int.from_bytes(key[-8:], "big"))
            await self._clear(due)
            after = pairs[-1][0][len(keyspace.DEAD) :] + b"\0"
            await asyncio.sleep(0)
        return self.cleared - before

    async def _clear(self, due: list[int]) -> None:
        """As many in a group as the loop has time for."""
        at = 0
        while at < len(due) and self._writer.refused is None:
            deadline = time.perf_counter() + _SLICE_S
            self._writer.write_now()
            group = self._writer.gather()
            done = 0
            try:
                while at + done < len(due) and self._slice(group, due[at + done], deadline):
                    done += 1
                    if time.perf_counter() > deadline:
                        break
            except Exception:
                self._writer.abandon(group)
                raise
            self._writer.write_now()
            at += done
            self.cleared += done
            await asyncio.sleep(0)

    def _slice(self, group: WriteGroup, cluster_id: int, deadline: float) -> bool:
        """Some of it; whether that was all."""
        prefix = keyspace.number(cluster_id)
        for family in _FAMILIES:
            start = prefix
            while True:
                pairs = self._engine.scan(family, start, keyspace.after_prefix(prefix), _PAGE)
                for key, value in pairs:
                    self._remove(group, family, key, value)
                if len(pairs) < _PAGE:
                    break
                if time.perf_counter() > deadline:
                    return False
                start = pairs[-1][0] + b"\0"
        for index in (keyspace.OWNERS, keyspace.REMOVED):
            first = index + prefix
            while keys := self._writer.scan_meta(first, keyspace.after_prefix(first), _PAGE):
                for key in keys:
                    self._writer.put_meta(group, key, None)
                if time.perf_counter() > deadline:
                    return False
        for record in (keyspace.name_key, keyspace.usage_key, keyspace.content_key, keyspace.dead_key):
            self._writer.put_meta(group, record(cluster_id), None)
        return True

    def _remove(self, group: WriteGroup, family: str, key: bytes, value: bytes) -> None:
        group.batch.delete(family, key)
        if family == keyspace.LOG:
            group.batch.delete(keyspace.ORDER, key[8:16])
            self._compaction.note_lost(group, commit_log.retention_of(value), int.from_bytes(key[8:16], "big"))
        elif family == keyspace.OBJECTS:
            group_resource = key[8:].partition(b"\0")[0].decode()
            self._writer.put_meta(group, keyspace.count_key(group_resource, key[:8]), None)

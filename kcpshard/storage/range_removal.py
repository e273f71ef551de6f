"""Takes away all that is stored under the id of a logical cluster, in slices: one that has died, one that has moved
away, a copy that came to nothing.

Which it is stands in `meta` (`dead`∕id, `departed`∕id): written first and removed last, so that a shard which died in
between goes on where it was. Single deletions, not range deletes: thousands of these in the memtable make every read
slow.
"""

import asyncio
import time
from collections.abc import Callable

from kcpshard import failpoints
from kcpshard.storage import keyspace
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.writer import WriteGroup, Writer

_SLICE_S = 0.002  # of the loop
_PAGE = 128
_FAMILIES = (keyspace.OBJECTS, keyspace.VERSIONS, keyspace.LOG)

Also = Callable[[WriteGroup, str, bytes, bytes], None]
"""What else goes with a key: group, column family, key, value."""


class RangeRemoval:
    """`also` is told of each key of objects and log. `last` adds to the group that ends it; `failpoint` is reached
    after each slice that has been written."""

    def __init__(
        self,
        engine: KeyValueEngine,
        writer: Writer,
        also: Also,
        last: Callable[[WriteGroup, int], None],
        failpoint: str,
    ) -> None:
        self._engine, self._writer, self._also, self._last, self._failpoint = engine, writer, also, last, failpoint

    async def run(self, cluster_id: int) -> tuple[int, WriteGroup] | None:
        """How many keys went, and the group with which that is durable. None: the disk takes nothing."""
        removed = 0
        while self._writer.refused is None:
            deadline = time.perf_counter() + _SLICE_S
            self._writer.write_now()  # what gathers may be of this range, and is not seen by a scan
            group = self._writer.gather()
            try:
                count, is_done = self._slice(group, cluster_id, deadline)
                if is_done:
                    self._last(group, cluster_id)
            except Exception:
                self._writer.abandon(group)
                raise
            removed += count
            self._writer.write_now()
            if failpoints.armed:
                failpoints.reach(self._failpoint)
            if is_done:
                return removed, group
            await asyncio.sleep(0)
        return None

    def _slice(self, group: WriteGroup, cluster_id: int, deadline: float) -> tuple[int, bool]:
        """How many keys of it go with the group, and whether those were all."""
        prefix, removed = keyspace.number(cluster_id), 0
        for family in _FAMILIES:
            start = prefix
            while True:
                pairs = self._engine.scan(family, start, keyspace.after_prefix(prefix), _PAGE)
                for key, value in pairs:
                    group.batch.delete(family, key)
                    if family != keyspace.VERSIONS:
                        self._also(group, family, key, value)
                removed += len(pairs)
                if len(pairs) < _PAGE:
                    break
                if time.perf_counter() > deadline:
                    return removed, False
                start = pairs[-1][0] + b"\0"
        for index in (keyspace.OWNERS, keyspace.REMOVED):
            first = index + prefix
            while keys := self._writer.scan_meta(first, keyspace.after_prefix(first), _PAGE):
                for key in keys:
                    self._writer.put_meta(group, key, None)
                removed += len(keys)
                if time.perf_counter() > deadline:
                    return removed, False
        return removed, True

"""Which log records may go, and their removal in bounded steps.

A step passes records in revision order and raises, in the same batch, the oldest revision of their logical cluster and
retention class. Passing record r of an object:

    predecessor of r          goes: nothing at or above the new oldest revision shows it
    r, if it is a deletion    goes: without it the object reads as absent, which is right
    r, if it is the newest    goes: the present value says the same; the next write embeds it as its previous envelope
    r otherwise               stays until its successor is passed: it is the state between the two

A record at or below its class's oldest revision that stays has no entry in `order`: a watch cannot resume there.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from kcpshard import failpoints
from kcpshard.api.events import EventType
from kcpshard.api.resource_versions import revision_at
from kcpshard.settings import Settings
from kcpshard.storage import commit_log, keyspace
from kcpshard.storage.clusters import Clusters
from kcpshard.storage.contract import KeyValueEngine, LogicalCluster
from kcpshard.storage.writer import WriteGroup, Writer

_SLICE_S = 0.002  # of the loop, and writing the batch comes on top; nothing may hold it for 5 ms
_KEEP_SHARE = 0.9  # of the byte bound after compaction, so that the next write does not exceed it again
_PAGE = 1024


class Compaction:
    def __init__(self, engine: KeyValueEngine, writer: Writer, clusters: Clusters, settings: Settings) -> None:
        self._engine, self._writer, self._clusters, self._settings = engine, writer, clusters, settings
        self._get_object = engine.getter(keyspace.OBJECTS)
        self.listeners: list[Callable[[LogicalCluster], None]] = []
        self.over: set[int] = set()  # logical clusters over their bytes; at most as many as are written to
        self.spared: set[int] = set()  # logical clusters of which a copy is made, or remains: left alone
        self._left_alone: dict[int, int] = {}  # of these, the first revision that would have been passed
        self.compacted = 0
        self._lost: list[int] = []
        self._passed: list[int] = []
        self._knows_over = False
        self._deadline = 0.0
        self._slice_compacted = 0
        self._grown: dict[int, LogicalCluster] = {}
        self.reload()

    def reload(self) -> None:
        """Read the marks, at start and after a refused group."""
        marks = []
        for retention in range(len(self._settings.retention_s)):
            raw = self._engine.get(keyspace.META, keyspace.lost_key(retention)) or bytes(16)
            marks.append((int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big")))
        self._lost = [lost for lost, _ in marks]
        self._passed = [passed for _, passed in marks]

    def spare(self, cluster_id: int) -> None:
        self.spared.add(cluster_id)

    def expose(self, cluster_id: int) -> None:
        """As any other from now on: what of it was left alone is passed next."""
        self.spared.discard(cluster_id)
        first = self._left_alone.pop(cluster_id, None)
        if first is not None:
            self._passed = [min(passed, first - 1) for passed in self._passed]

    def take_over(self, cluster_id: int, group: WriteGroup, oldest: Sequence[int]) -> None:
        """A logical cluster has come with its past, and with what another shard has compacted of it; in the group that
        makes it ours."""
        for retention, (lost, there) in enumerate(zip(self._lost, oldest, strict=True)):
            if there >= cluster_id and there > lost:  # below its birth nothing was ever there
                self._lost[retention] = there
        prefix = keyspace.number(cluster_id)
        first = self._engine.scan(keyspace.LOG, prefix, keyspace.after_prefix(prefix), 1)
        if first:
            before = int.from_bytes(first[0][0][8:16], "big") - 1
            self._passed = [min(passed, before) for passed in self._passed]
        self._put_marks(group)

    def _put_marks(self, group: WriteGroup) -> None:
        """What was left alone counts as not passed for whoever reads the marks after a restart."""
        left = min(self._left_alone.values(), default=0)
        for retention, (lost, passed) in enumerate(zip(self._lost, self._passed, strict=True)):
            settled = min(passed, left - 1) if left else passed
            group.batch.put(
                keyspace.META, keyspace.lost_key(retention), keyspace.number(lost) + keyspace.number(settled)
            )

    def lost(self, retention: int) -> int:
        """The newest revision of the class that any logical cluster has lost; -1: of any class."""
        return max(self._lost) if retention < 0 else self._lost[retention]

    def note_lost(self, group: WriteGroup, retention: int, revision: int) -> None:
        """Somebody else removes a record of the class in `group`."""
        if revision > self._lost[retention]:
            self._lost[retention] = revision
            mark = keyspace.number(revision) + keyspace.number(self._passed[retention])
            group.batch.put(keyspace.META, keyspace.lost_key(retention), mark)

    async def run(self, now_us: int) -> int:
        """Everything that is due now; returns how many records went."""
        before = self.compacted
        for retention, keep_s in enumerate(self._settings.retention_s):
            cutoff = min(revision_at(now_us - int(keep_s * 1e6), 0), self._writer.durable)
            while self._has_passable(retention, cutoff) and self._writer.refused is None:
                self._slice(lambda group, r=retention, c=cutoff: self._pass_time(group, r, c))  # type: ignore[misc]
                await asyncio.sleep(0)
        await self._find_over()
        while self.over and self._writer.refused is None:
            self._slice(self._pass_bytes)
            await asyncio.sleep(0)
        return self.compacted - before

    def _has_passable(self, retention: int, cutoff: int) -> bool:
        """Whether anything lies between the mark and the cutoff: an idle shard writes nothing here."""
        start = keyspace.number(self._passed[retention] + 1)
        return bool(self._engine.scan(keyspace.ORDER, start, keyspace.number(cutoff + 1), 1))

    async def _find_over(self) -> None:
        """Once after start: which logical clusters were over their bytes when the last process ended."""
        start = 0
        while not self._knows_over:
            found = self._clusters.usages(start, _PAGE)
            self.over.update(id for id, size in found if size > self._settings.retained_bytes_per_cluster)
            self._knows_over = len(found) < _PAGE
            start = found[-1][0] + 1 if found else 0
            await asyncio.sleep(0)

    def _slice(self, step: Callable[[WriteGroup], None]) -> None:
        """One bounded step as part of a group of its own, written at once: the next step reads what this one left."""
        self._deadline = time.perf_counter() + _SLICE_S
        self._slice_compacted = 0
        self._grown.clear()
        self._writer.write_now()
        group = self._writer.gather()
        try:
            step(group)
        except Exception:  # a damaged block: half a step would remove records and not say so
            self._writer.abandon(group)
            raise
        self._put_marks(group)
        if failpoints.armed:
            failpoints.reach("compaction.before_write")
        self._writer.write_now()
        if failpoints.armed:
            failpoints.reach("compaction.after_write")
        if group.refusal is None:
            self.compacted += self._slice_compacted
            for cluster in self._grown.values():
                for listener in self.listeners:
                    listener(cluster)

    def _pass_time(self, group: WriteGroup, retention: int, cutoff: int) -> None:
        """Pass records of one class by age, through the shard's order of revisions."""
        start = keyspace.number(self._passed[retention] + 1)
        pairs = self._engine.scan(keyspace.ORDER, start, keyspace.number(cutoff + 1), _PAGE)
        for key, value in pairs:
            if value[8] >> retention & 1:
                cluster_id, revision = int.from_bytes(value[:8], "big"), int.from_bytes(key, "big")
                if cluster_id in self.spared:
                    self._left_alone[cluster_id] = min(revision, self._left_alone.get(cluster_id, revision))
                else:
                    self._pass_revision(group, cluster_id, revision, 1 << retention)
            self._passed[retention] = int.from_bytes(key, "big")
            if time.perf_counter() > self._deadline:
                return
        if len(pairs) < _PAGE:
            self._passed[retention] = cutoff

    def _pass_bytes(self, group: WriteGroup) -> None:
        """Pass the oldest records, of any class, of a logical cluster that keeps too many bytes."""
        cluster_id = next(iter(self.over))
        cluster = self._clusters.by_id(cluster_id)
        bound = int(self._settings.retained_bytes_per_cluster * _KEEP_SHARE)
        if cluster is None or cluster.born_in is not None or cluster_id in self.spared:
            self.over.discard(cluster_id)
            return
        every_class = (1 << len(cluster.oldest)) - 1
        start = keyspace.log_key(cluster_id, min(cluster.oldest) + 1, 0)
        end = keyspace.log_key(cluster_id, self._writer.durable + 1, 0)
        last = 0
        # Keys only are needed here, but the values are read by _pass_revision next, so the blocks are.
        pairs = self._engine.scan(keyspace.LOG, start, end, self._settings.compaction_slice)
        for key, _ in pairs:
            revision = int.from_bytes(key[8:16], "big")
            if revision == last:
                continue
            if cluster.log_bytes <= bound or time.perf_counter() > self._deadline:
                break
            self._pass_revision(group, cluster_id, revision, every_class)
            last = revision
        if cluster.log_bytes <= bound or not pairs:
            self.over.discard(cluster_id)

    def _pass_revision(self, group: WriteGroup, cluster_id: int, revision: int, bits: int) -> None:
        """Pass that commit's records of the classes in `bits`."""
        cluster = self._clusters.by_id(cluster_id)
        records = commit_log.records(self._engine, cluster_id, revision)
        for key, raw in records:
            retention = commit_log.retention_of(raw)
            if bits >> retention & 1 and (cluster is None or cluster.oldest[retention] < revision):
                self._pass_record(group, cluster, cluster_id, revision, key, raw)
                self._lost[retention] = max(self._lost[retention], revision)
        if cluster is not None:
            group.usages[cluster_id] = self._grown[cluster_id] = cluster
            for retention, oldest in enumerate(cluster.oldest):
                if bits >> retention & 1:
                    cluster.oldest[retention] = max(oldest, revision)
            cluster.oldest_revision = cluster.oldest[0]
        self._leave_order(group, revision, bits)

    def _pass_record(
        self, group: WriteGroup, cluster: LogicalCluster | None, cluster_id: int, revision: int, key: bytes, raw: bytes
    ) -> None:
        record = commit_log.decode(raw)
        object_key = key[:8] + record.key
        freed = 0
        if record.previous_revision:
            version = keyspace.version_key(object_key, record.previous_revision)
            n = self._engine.get(keyspace.VERSIONS, version)
            if n is not None:
                previous_key = keyspace.log_key(cluster_id, record.previous_revision, int.from_bytes(n, "big"))
                freed += len(self._engine.get(keyspace.LOG, previous_key) or b"")
                self._drop(group, version, previous_key)
        if record.type is EventType.DELETED or self._newest(object_key) == revision:
            freed += len(raw)
            self._drop(group, keyspace.version_key(object_key, revision), key)
        if cluster is not None:
            cluster.log_bytes -= freed

    def _drop(self, group: WriteGroup, version: bytes, key: bytes) -> None:
        group.batch.delete(keyspace.VERSIONS, version)
        group.batch.delete(keyspace.LOG, key)
        self._slice_compacted += 1

    def _newest(self, object_key: bytes) -> int:
        """Revision of the object in the pending state: a write that is on its way already counts on its predecessor."""
        pending = self._writer.overlay.get(object_key)
        value = self._get_object(object_key) if pending is None else pending[0]
        return int.from_bytes(value[:8], "big") if value else 0

    def _leave_order(self, group: WriteGroup, revision: int, bits: int) -> None:
        key = keyspace.number(revision)
        value = self._engine.get(keyspace.ORDER, key)
        if value is None:
            return
        left = value[8] & ~bits
        if left:
            group.batch.put(keyspace.ORDER, key, value[:8] + bytes((left,)))
        else:
            group.batch.delete(keyspace.ORDER, key)

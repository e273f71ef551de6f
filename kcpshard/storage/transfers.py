"""Logical clusters that leave this store for another shard's, or come from one: the store's side of a move.

Whoever decides about moves (placement) asks in this order. Leaving: `spare`, pages, `summary`, `fence`; when the other
shard serves it `depart`, and later `clear`. Coming: `begin`, its pages, `complete` in the turn that takes ownership.
"""

from collections.abc import Callable

from kcpshard.storage import cluster_pages, keyspace
from kcpshard.storage.arrival import Arrival, Progress, Summary, decode_progress
from kcpshard.storage.clock import RevisionClock
from kcpshard.storage.cluster_pages import Page
from kcpshard.storage.clusters import Clusters
from kcpshard.storage.compaction import Compaction
from kcpshard.storage.contract import Group, KeyValueEngine, LogicalCluster
from kcpshard.storage.range_removal import RangeRemoval
from kcpshard.storage.writer import WriteGroup, Writer

ARRIVED = b"arrived/"  # + id; of the keys that are others' own

Fence = Callable[[], Exception]


class Transfers:
    """`fences` are looked at by every commit: logical cluster → the exception that it raises. `unlisted` are ids whose
    records are in the log without being anybody's here."""

    def __init__(
        self, engine: KeyValueEngine, writer: Writer, clusters: Clusters, clock: RevisionClock, compaction: Compaction
    ) -> None:
        self._engine, self._writer, self._clusters, self._clock = engine, writer, clusters, clock
        self._compaction = compaction
        self._removal = RangeRemoval(engine, writer, self._leave_order, self._end_removal, "moves.clearing")
        self.fences: dict[int, Fence] = {}
        self.on_complete: Callable[[int], None] = lambda _revision: None  # told the revision of each that has come
        self.unlisted = self._stored_unlisted()
        compaction.spared.update(self.unlisted)

    # --- leaving

    def objects(self, cluster: LogicalCluster, after: bytes) -> Page:
        """Not before `settle` may anybody rely on what it holds."""
        return cluster_pages.object_page(self._engine, cluster.prefix, after)

    def records(self, cluster: LogicalCluster, after: bytes, upto: int) -> Page:
        return cluster_pages.record_page(self._engine, cluster.prefix, after, upto)

    async def settle(self) -> None:
        """Until what has been written is durable. Raises ReadOnly."""
        group = self._writer.newest_group()
        if group is not None:
            await self._writer.settled(group)

    def spare(self, cluster_id: int) -> None:
        """Keep compaction away from it: a copy is made."""
        self._compaction.spare(cluster_id)

    def expose(self, cluster_id: int) -> None:
        """The copy is over: compaction makes up for what it left out."""
        self._compaction.expose(cluster_id)

    def fence(self, cluster: LogicalCluster, refusal: Fence) -> None:
        """Nothing is committed to it any more, from this turn on; not durable."""
        self.fences[cluster.id] = refusal

    def summary(self, cluster: LogicalCluster) -> Summary:
        start = keyspace.REMOVED + cluster.prefix
        keys = self._writer.scan_meta(start, keyspace.after_prefix(start), keyspace.MAX_CHANGES)
        removed = {key[len(start) :].decode(): int.from_bytes(self._writer.get_meta(key) or b"", "big") for key in keys}
        return Summary(
            cluster.state, self._writer.durable, list(cluster.oldest), cluster.log_bytes,
            cluster.objects, cluster.stored_bytes, removed,
        )  # fmt: skip

    def depart(self, cluster: LogicalCluster) -> Group:
        """Another shard serves it: unlink it here. Its range stays for those who still read it, until `clear`."""
        group = self._writer.gather()
        put = self._writer.put_meta
        put(group, keyspace.path_key(cluster.path), None)
        for key in (keyspace.name_key, keyspace.usage_key, keyspace.content_key):
            put(group, key(cluster.id), None)
        for group_resource in self._types(cluster.id):
            put(group, keyspace.count_key(group_resource, cluster.prefix), None)
        self._writer.put_meta(group, keyspace.departed_key(cluster.id), b"")
        self._clusters.forget(cluster)
        self._unlist(cluster.id)
        return group

    async def clear(self, cluster_id: int) -> int:
        """Remove its range; returns how many keys went. Raises ReadOnly."""
        done = await self._removal.run(cluster_id)
        if done is None:
            assert self._writer.refused is not None, "why it did not go on"
            raise self._writer.refused
        removed, group = done
        await self._writer.settled(group)
        self.unlisted.discard(cluster_id)
        self.fences.pop(cluster_id, None)
        self._compaction.expose(cluster_id)
        return removed

    def _leave_order(self, group: WriteGroup, family: str, key: bytes, _value: bytes) -> None:
        if family == keyspace.LOG:
            order = self._engine.get(keyspace.ORDER, key[8:16])
            if order is not None and order[:8] == key[:8]:
                group.batch.delete(keyspace.ORDER, key[8:16])

    def _end_removal(self, group: WriteGroup, cluster_id: int) -> None:
        self._writer.put_meta(group, keyspace.departed_key(cluster_id), None)

    def _stored_unlisted(self) -> set[int]:
        """Ids of ranges that are to be removed or belong to a copy: no logical cluster answers for them."""
        return {progress.cluster_id for progress in self.arrivals()}.union(self.departed())

    def _types(self, cluster_id: int) -> list[str]:
        """The group resources of which the range holds objects: one look into it for each."""
        prefix = keyspace.number(cluster_id)
        start, end, found = prefix, keyspace.after_prefix(prefix), list[str]()
        while pairs := self._engine.scan(keyspace.OBJECTS, start, end, 1):
            raw = pairs[0][0][8 : pairs[0][0].index(b"\0", 8)]
            found.append(raw.decode())
            start = prefix + raw + b"\1"
        return found

    # --- coming

    def arrivals(self) -> list[Progress]:
        """Of copies begun and not complete, as written."""
        keys = self._writer.scan_meta(keyspace.ARRIVING, keyspace.after_prefix(keyspace.ARRIVING), keyspace.MAX_CHANGES)
        return [decode_progress(self._writer.get_meta(key) or b"") for key in keys]

    def departed(self) -> list[int]:
        """Ids of ranges to be removed."""
        keys = self._writer.scan_meta(keyspace.DEPARTED, keyspace.after_prefix(keyspace.DEPARTED), keyspace.MAX_CHANGES)
        return [int.from_bytes(key[len(keyspace.DEPARTED) :], "big") for key in keys]

    def begin(self, progress: Progress) -> tuple[Arrival, Group]:
        """A new copy; what an earlier one has left must be cleared."""
        self._unlist(progress.cluster_id)
        arrival = Arrival(self._engine, self._writer, progress)
        return arrival, arrival.begin()

    def resume(self, progress: Progress) -> Arrival:
        return Arrival(self._engine, self._writer, progress)

    def abandon(self, cluster_id: int) -> Group:
        """The copy is not wanted: it is to be cleared."""
        group = self._writer.gather()
        self._writer.put_meta(group, keyspace.arriving_key(cluster_id), None)
        self._writer.put_meta(group, keyspace.departed_key(cluster_id), b"")
        return group

    def complete(self, arrival: Arrival, summary: Summary) -> LogicalCluster:
        """A logical cluster of this store, in the group that gathers now; the clock has been raised past the summary's
        revision. Durable, the store's revision is past everything that was said of it elsewhere."""
        group = self._writer.gather()
        progress = arrival.progress
        revision = self._clock.next(0)
        promised = int.from_bytes(self._writer.get_meta(keyspace.CLOCK_KEY) or b"", "big")
        self._writer.put_meta(group, keyspace.CLOCK_KEY, keyspace.number(max(promised, revision)))
        group.newest = max(group.newest, revision)
        oldest = list(summary.oldest)
        cluster = self._clusters.take(
            progress.path, progress.cluster_id, summary.state, progress.log_bytes, oldest, revision, group
        )
        cluster.objects, cluster.stored_bytes = progress.objects, progress.stored_bytes
        arrival.complete(group, summary.removed)
        self.fences.pop(cluster.id, None)
        self.on_complete(revision)
        group.when_durable(lambda: self._list(cluster.id))
        self._compaction.take_over(cluster.id, group, oldest)
        self._writer.put_meta(group, keyspace.OWN + ARRIVED + keyspace.number(cluster.id), b"")
        return cluster

    def unsettled(self) -> list[int]:
        """Ids of logical clusters that have come and that nobody has looked through yet; see `cross_out`."""
        start = keyspace.OWN + ARRIVED
        found = self._writer.scan_meta(start, keyspace.after_prefix(start), keyspace.MAX_CHANGES)
        return [int.from_bytes(key[len(start) :], "big") for key in found]

    def cross_out(self, cluster_id: int) -> Group:
        """Whatever the old shard had left to do in it is done here."""
        group = self._writer.gather()
        self._writer.put_meta(group, keyspace.OWN + ARRIVED + keyspace.number(cluster_id), None)
        return group

    def _unlist(self, cluster_id: int) -> None:
        self.unlisted.add(cluster_id)
        self._compaction.spared.add(cluster_id)

    def _list(self, cluster_id: int) -> None:
        self.unlisted.discard(cluster_id)
        self._compaction.expose(cluster_id)

"""Objects by key and revision: the ObjectStore of the contract, over any engine.

Verbs decide against the pending state (overlay over engine), readers see the durable one. Data, log record, version,
order and counts of a commit go into one batch.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from kcpshard import failpoints
from kcpshard.api.events import Change, Commit, EventType
from kcpshard.api.resource_versions import revision_at
from kcpshard.settings import VERIFY, Settings
from kcpshard.storage import commit_log, envelope, format, invariants, keyspace, owners
from kcpshard.storage.clearing import Clearing
from kcpshard.storage.clock import RevisionClock
from kcpshard.storage.clusters import Clusters
from kcpshard.storage.commit_log import CommitLog
from kcpshard.storage.compaction import Compaction
from kcpshard.storage.contract import (
    Compacted,
    Group,
    KeyValueEngine,
    LogicalCluster,
    NotDurable,
    PastChange,
    PendingCommit,
    Put,
    ReadOnly,
    RecordedWrite,
    Remove,
    ScanItem,
)
from kcpshard.storage.forks import ForkRefused, Forks
from kcpshard.storage.owners import Dependent
from kcpshard.storage.past_reads import PastReads
from kcpshard.storage.space import SpaceGuard
from kcpshard.storage.template import NO_TEMPLATE, Place, Template
from kcpshard.storage.transfers import ARRIVED, Transfers
from kcpshard.storage.wildcard_reads import Deletions, Position, Sees, WildcardReads, WildcardScan
from kcpshard.storage.writer import LoopSync, SyncThread, WriteGroup, Writer, exit_after_failed_sync

_ADDED, _MODIFIED, _DELETED = EventType
_made: Any = tuple.__new__
_MAX_NAMESPACE_COUNTS = 4096  # when full all are dropped: counting again is 0.3 µs an object
# How far ahead a promise about revisions is written down: much less than what a restart accepts of its clock.
_PROMISE_US = 300_000
_GIVEN = 128  # objects given to a fork in one slice
_RETENTION_BITS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    groups: int
    commits: int
    durable_revision: int
    pending_revision: int
    pending_objects: int
    read_only: str  # the cause; empty: takes writes
    compacted_records: int
    engine: Mapping[str, int]


class Store:
    def __init__(
        self,
        engine: KeyValueEngine,
        shard: int,
        now_us: Callable[[], int],
        settings: Settings | None = None,
        sync: Any = None,
        on_sync_failure: Callable[[BaseException], None] = exit_after_failed_sync,
        template: Template = NO_TEMPLATE,
    ) -> None:
        """Opens the format, or raises format.UnusableFormat; raises clock.ClockBehind. `sync`: as SyncThread."""
        settings = settings or Settings()
        format.open_format(engine, shard)
        self._engine, self._settings, self._now_us = engine, settings, now_us
        stored = max(_newest_revision(engine), _stored_clock(engine))
        self._clock = RevisionClock(shard, settings, stored, now_us())
        durable = self._clock.last if _write_clock(engine, self._clock.last) else stored
        if sync is None:
            sync = SyncThread(engine.sync, on_sync_failure) if engine.sync_waits else LoopSync(engine.sync)
        self._sync = sync
        self._writer = Writer(
            engine,
            settings.write_batch_bytes,
            sync,
            durable,
            self._complete_group,
            self._undo_group,
            on_sync_failure,
        )
        self._clusters = Clusters(
            engine, self._writer, self._clock, len(settings.retention_s), settings.cached_clusters
        )
        self._log = CommitLog(engine)
        self._past = PastReads(engine)
        self._space = SpaceGuard(engine.free_bytes, settings.reserved_bytes, settings.space_check_interval_s)
        self._compaction = Compaction(engine, self._writer, self._clusters, settings)
        self.transfers = Transfers(engine, self._writer, self._clusters, self._clock, self._compaction)
        self._fences = self.transfers.fences
        self._clearing = Clearing(engine, self._writer, self._compaction)
        self._removal_listeners: list[Callable[[LogicalCluster], None]] = []
        self._forks = Forks(engine, self._writer, self._removed_of)
        self._origins = self._forks.origins
        self._get_object = engine.getter(keyspace.OBJECTS)
        self._overlay = self._writer.overlay
        self._touched = self._writer.touched
        self._namespace_counts: dict[bytes, int] = {}  # of namespaces that somebody paged through, by type prefix
        self._template, self._templated = template, template.types
        self._deletions = Deletions(self._clock.last)
        self.transfers.on_complete = self._deletions.forget
        self._everywhere = WildcardReads(
            engine, self._clusters, self._past, self._deletions, self._compaction.lost, self.scan, self._templated,
            self._origins, lambda: self._clock.last,
        )  # fmt: skip
        self._promised = durable  # restarts begin above it
        self._followed: frozenset[str] = frozenset()
        self._accepted: Callable[[LogicalCluster, str, str, str], None] = lambda *_: None
        self._undone: Callable[[LogicalCluster], None] = lambda _: None

    @property
    def durable_revision(self) -> int:
        return self._writer.durable

    @property
    def pending_revision(self) -> int:
        return self._clock.last

    def raise_clock(self, revision: int) -> Group | None:
        if not self._clock.raise_to(revision, self._now_us()):
            return None
        group = self._writer.gather()
        self._writer.put_meta(group, keyspace.CLOCK_KEY, keyspace.number(revision))
        return group

    def cut(self, revision: int) -> Group | None:
        now_us = self._now_us()
        self._clock.raise_to(revision, now_us)
        if revision > self._promised and self._writer.refused is None and self._space.refusal is None:
            promise = max(revision, revision_at(now_us + _PROMISE_US, 0))
            group = self._writer.gather()
            self._writer.put_meta(group, keyspace.CLOCK_KEY, keyspace.number(promise))
            group.when_refused(lambda _cause: self._break_promise())
            self._promised = promise
        newest = self._writer.newest_group()
        if newest is None:
            self._writer.reach(revision)
        else:
            newest.when_durable(lambda: self._writer.reach(revision))
        return newest

    def close_up_to_now(self) -> None:
        # A moment ago, so that the clock need not be raised beyond the present.
        wanted = revision_at(self._now_us() - 1_000, 0)
        if wanted > self._writer.durable and self._writer.newest_group() is None:
            self.cut(wanted)

    def _break_promise(self) -> None:
        self._promised = 0

    # --- logical clusters

    def find_cluster(self, path: str) -> LogicalCluster | None:
        found = self._clusters.young.get(path)
        return found if found is not None and found.born_in is None else self._clusters.find(path)

    def pending_cluster(self, path: str) -> LogicalCluster | None:
        return self._clusters.pending(path)

    def create_cluster(self, path: str, puts: Sequence[Put]) -> tuple[LogicalCluster, PendingCommit]:
        assert self._clusters.pending(path) is None, f"{path} is taken"
        now_us = self._check_writable(puts)
        revision = self._clock.next(now_us)
        cluster = self._clusters.bear(path, revision, self._writer.gather())
        cluster.removed = {}  # nothing of what lies beneath can have been deleted yet
        return cluster, self._apply(cluster, revision, now_us, puts, b"", 0)

    def fork_cluster(
        self, origin: LogicalCluster, path: str, puts: Sequence[Put]
    ) -> tuple[LogicalCluster, PendingCommit]:
        assert self._clusters.pending(path) is None, f"{path} is taken"
        self._forks.check(origin.id)
        if origin.id in self._fences or origin.id in self._compaction.spared:
            raise ForkRefused("it is on its way to another shard")
        newest = self._writer.newest_group()
        if newest is not None:  # what is shared is read from the engine
            raise NotDurable(newest)
        now_us = self._check_writable(puts)
        revision = self._clock.next(now_us)
        group = self._writer.gather()
        cluster = self._clusters.bear(path, revision, group)
        self._forks.begin(group, revision, origin.id)
        cluster.objects, cluster.stored_bytes = origin.objects, origin.stored_bytes
        put_meta = self._writer.put_meta
        for raw in self._forks.types(origin.id):
            count = self._writer.get_meta(keyspace.count_key(raw.decode(), origin.prefix))
            if count:
                put_meta(group, keyspace.count_key(raw.decode(), cluster.prefix), count)
        for text in self._removed(origin):
            place = text.decode().split("\0")
            # Where something was made again in its stead that is shown, and hides the template's.
            if place[0] in self._templated and self.pending_own(origin, *place) is None:
                put_meta(group, keyspace.REMOVED + cluster.prefix + text, keyspace.number(revision))
        # Whoever watches all logical clusters is not told what this one shows: resumed before it, they list again.
        for retention in range(len(self._settings.retention_s)):
            self._compaction.note_lost(group, retention, revision)
        put_meta(group, keyspace.OWN + ARRIVED + keyspace.number(revision), b"")  # controllers look through it
        if failpoints.armed:
            failpoints.reach("forks.birth")
        return cluster, self._apply(cluster, revision, now_us, puts, b"", 0)

    def origin_of(self, cluster: LogicalCluster) -> int | None:
        return self._origins.get(cluster.id)

    def is_fork(self, cluster_id: int) -> bool:
        return cluster_id in self._origins

    async def detach_forks(self, cluster: LogicalCluster) -> None:
        while forks := [each for each in (*self._forks.of.get(cluster.id, ()), cluster.id) if each in self._origins]:
            fork, at = self._clusters.by_id(forks[0]), b""
            assert fork is not None, "a fork's record goes with it"
            is_whole = False
            while not is_whole:
                at = self._give_slice(fork, at)
                is_whole = not at
                await asyncio.sleep(0)
            group = self._writer.newest_group()
            if group is not None:
                await self._writer.settled(group)

    def _give_slice(self, fork: LogicalCluster, start: bytes) -> bytes:
        """Let it hold some more of what it shows, from the text `start` on; where to go on, empty: it holds all."""
        self._writer.write_now()  # what gathers is not seen by a scan
        group = self._writer.gather()
        looked_at, last = 0, b""
        removed = self._removed(fork)
        for text, value in self._forks.all_shared(fork.id, start, b"\xff"):
            if looked_at == _GIVEN:
                break
            looked_at, last = looked_at + 1, text
            key = fork.prefix + text
            if text not in removed and key not in self._overlay and self._get_object(key) is None:
                self._give(group, fork, text, value)
        if failpoints.armed:
            failpoints.reach("forks.giving")
        if looked_at < _GIVEN:
            last = b""
            self._forks.end(group, fork.id)
        self._writer.write_now()
        return last and last + b"\0"

    def _give(self, group: WriteGroup, fork: LogicalCluster, text: bytes, value: bytes) -> None:
        """Let the fork hold what it shows: nothing that anybody sees changes."""
        key = fork.prefix + text
        group.batch.put(keyspace.OBJECTS, key, value)
        group.entries[key] = value
        self._overlay[key] = (value, group)
        for uid in owners.owner_uids(envelope.body(value)):
            self._writer.put_meta(group, owners.key(fork.id, uid, text), b"")
        group_resource, namespace, _ = text.split(b"\0")
        self._touch(group, fork.prefix + group_resource + b"\0", namespace.decode())

    def _give_forks(self, group: WriteGroup, cluster: LogicalCluster, text: bytes, value: bytes) -> None:
        """The object is about to be written: those forks that show it as it is keep it so."""
        revision = int.from_bytes(value[:8], "big")
        for fork_id in self._forks.of[cluster.id]:
            fork = self._clusters.by_id(fork_id)
            if fork is None or revision > fork_id:
                continue
            key = fork.prefix + text
            if key not in self._overlay and self._get_object(key) is None and text not in self._removed(fork):
                self._give(group, fork, text, value)

    def clusters(self, after: str = "") -> Iterator[LogicalCluster]:
        return self._clusters.after(after)

    def cluster_by_id(self, cluster_id: int) -> LogicalCluster | None:
        found = self._clusters.by_id(cluster_id)
        return None if found is None or found.born_in is not None else found

    def path_of(self, cluster_id: int) -> str:
        return self._everywhere.path(cluster_id)

    def set_cluster_state(self, cluster: LogicalCluster, state: str) -> Group:
        if cluster.id in self._fences:
            raise self._fences[cluster.id]()
        group = self._writer.gather()
        self._clusters.set_state(cluster, state, group)
        return group

    def remove_cluster(self, cluster: LogicalCluster, removals: Sequence[Remove]) -> Group:
        if cluster.id in self._fences:
            raise self._fences[cluster.id]()
        if removals:
            self.commit(cluster, removals)
        for fork_id in list(self._forks.of.get(cluster.id, ())):
            fork, at = self._clusters.by_id(fork_id), b""
            # Each deletion has given its forks what they showed; nothing is left but what the caller has passed over.
            while fork is not None and cluster.objects and (at := self._give_slice(fork, at)):
                pass
        group = self._writer.gather()
        for fork_id in [cluster.id, *self._forks.of.get(cluster.id, ())]:
            self._forks.end(group, fork_id)
        if failpoints.armed:
            failpoints.reach("clusters.burial")
        self._clusters.bury(cluster, self._now_us(), group)
        group.when_durable(lambda: self._tell_removal(cluster))
        return group

    def on_removal(self, listener: Callable[[LogicalCluster], None]) -> None:
        self._removal_listeners.append(listener)

    def _tell_removal(self, cluster: LogicalCluster) -> None:
        if failpoints.armed:
            failpoints.reach("clusters.buried")
        for listener in self._removal_listeners:
            listener(cluster)

    async def clear(self, now_us: int) -> int:
        return await self._clearing.run(now_us)

    # --- one object

    def get(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        key = cluster.prefix + f"{group_resource}\0{namespace}\0{name}".encode()
        pending = self._overlay.get(key)
        if pending is not None:
            raise NotDurable(pending[1])
        value = self._get_object(key)
        if value is None and (group_resource in self._templated or self._origins):
            return self._beneath(cluster, group_resource, (namespace, name))
        return value

    def pending(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        key = cluster.prefix + f"{group_resource}\0{namespace}\0{name}".encode()
        pending = self._overlay.get(key)
        value = self._get_object(key) if pending is None else pending[0]
        if value is None and (group_resource in self._templated or self._origins):
            return self._beneath(cluster, group_resource, (namespace, name))
        return value

    def get_at(
        self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str, revision: int, retention: int = 0
    ) -> bytes | None:
        self._check_readable(cluster, revision, retention)
        value = self._past.get(cluster.prefix + f"{group_resource}\0{namespace}\0{name}".encode(), revision)
        if value is None and (group_resource in self._templated or self._origins):
            return self._beneath_at(cluster, group_resource, (namespace, name), revision)
        return value

    def commit(
        self,
        cluster: LogicalCluster,
        writes: Sequence[Put | Remove],
        request_id: bytes = b"",
        code: int = 0,
        author: str = "",
    ) -> PendingCommit:
        if cluster.id in self._fences:
            raise self._fences[cluster.id]()
        now_us = self._check_writable(writes)
        return self._apply(cluster, self._clock.next(now_us), now_us, writes, request_id, code, author)

    def one_batch(self) -> AbstractContextManager[None]:
        return self._writer.one_batch()

    def recorded(self, cluster: LogicalCluster, request_id: bytes, since_us: int) -> RecordedWrite | None:
        if not request_id:
            return None
        pending = self._writer.requests.get(request_id)
        if pending is not None and pending[0] == cluster.id:
            raise NotDurable(pending[1])
        since = (since_us - self._settings.request_clock_difference_us) * 1000
        return self._log.request(cluster.id, request_id, max(since, cluster.created_revision))

    def history(
        self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str, before: int, limit: int
    ) -> list[PastChange]:
        key = cluster.prefix + f"{group_resource}\0{namespace}\0{name}".encode()
        return self._past.changes(key, min(before, self._writer.durable + 1), limit)

    # --- ranges

    def scan(
        self,
        cluster: LogicalCluster,
        group_resource: str,
        namespace: str,
        revision: int,
        after: tuple[str, str] | None,
        limit: int,
        retention: int = 0,
    ) -> list[ScanItem]:
        base = keyspace.type_prefix(cluster.prefix, group_resource, namespace)
        start = base
        if after is not None:
            start = cluster.prefix + f"{group_resource}\0{after[0]}\0{after[1]}\0".encode()
        end = base[:-1] + b"\1"
        if revision:
            self._check_readable(cluster, revision, retention)
            deleted = cluster.deletions.get(group_resource, cluster.known_since)
            pairs = self._past.scan(start, end, revision, limit, deleted > revision)
        else:
            group = self._touched.get(base)
            if group is not None:
                raise NotDurable(group)
            pairs = self._engine.scan(keyspace.OBJECTS, start, end, limit)
        skip = len(base)
        if group_resource in self._templated or cluster.id in self._origins:
            at = revision or self._writer.durable
            return self._with_beneath(cluster, group_resource, namespace, after, at, limit, pairs)
        if namespace:
            # Five hundred calls of ScanItem would cost more than the scan itself.
            return list(map(_made, repeat(ScanItem), [(namespace, key[skip:].decode(), value) for key, value in pairs]))
        items = []
        for key, value in pairs:
            found, _, name = key[skip:].decode().partition("\0")
            items.append(ScanItem(found, name, value))
        return items

    def scan_pending(self, cluster: LogicalCluster, group_resource: str, namespace: str, limit: int) -> list[bytes]:
        base = keyspace.type_prefix(cluster.prefix, group_resource, namespace)
        found = dict(self._engine.scan(keyspace.OBJECTS, base, base[:-1] + b"\1", limit))
        if base in self._touched:
            for key, (value, _) in self._overlay.items():
                if key.startswith(base):
                    found.pop(key, None)
                    if value is not None:
                        found[key] = value
        if cluster.id in self._origins:
            self._add_shared(cluster, found, base, base[:-1] + b"\1", limit)
        return [found[key] for key in sorted(found)]

    def _add_shared(
        self, cluster: LogicalCluster, found: dict[bytes, bytes], start: bytes, end: bytes, limit: int
    ) -> None:
        """To what a fork holds of a range of keys, pending state, what it shows besides; the first `limit` of it."""
        removed, added = self._removed(cluster), 0
        for text, value in self._forks.all_shared(cluster.id, start[8:], end[8:]):
            key = cluster.prefix + text
            if added == limit:
                return
            if key not in found and text not in removed and self._get_object(key) is None:
                found[key] = value
                added += 1

    def scan_own(
        self, cluster: LogicalCluster, group_resource: str, after: tuple[str, str] | None, limit: int
    ) -> list[ScanItem]:
        base = keyspace.type_prefix(cluster.prefix, group_resource, "")
        start = base if after is None else base + f"{after[0]}\0{after[1]}\0".encode()
        end = base[:-1] + b"\1"
        pending: dict[bytes, bytes | None] = {}
        if base in self._touched:
            pending = {key: value for key, (value, _) in self._overlay.items() if start <= key < end}
        found = dict(self._engine.scan(keyspace.OBJECTS, start, end, limit + len(pending)))
        found.update((key, value) for key, value in pending.items() if value is not None)
        for key, value in pending.items():
            if value is None:
                found.pop(key, None)
        if cluster.id in self._origins:
            self._add_shared(cluster, found, start, end, limit)
        items = []
        for key in sorted(found)[:limit]:
            namespace, _, name = key[len(base) :].decode().partition("\0")
            items.append(ScanItem(namespace, name, found[key]))
        return items

    def scan_everything(self, cluster: LogicalCluster, limit: int) -> list[tuple[str, ScanItem]]:
        assert cluster.id not in self._origins, "a fork shares what it shows"
        start, end = cluster.prefix, keyspace.after_prefix(cluster.prefix)
        pending = self._writer.entries_of(cluster.id, cluster.prefix)
        found: dict[bytes, bytes | None] = dict(self._engine.scan(keyspace.OBJECTS, start, end, limit + len(pending)))
        found.update(pending)
        items: list[tuple[str, ScanItem]] = []
        for key, value in sorted(found.items())[: limit + len(pending)]:
            if value is not None and len(items) < limit:
                group_resource, namespace, name = key[len(start) :].decode().split("\0")
                items.append((group_resource, ScanItem(namespace, name, value)))
        return items

    def pending_own(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        text = f"{group_resource}\0{namespace}\0{name}".encode()
        pending = self._overlay.get(cluster.prefix + text)
        value = self._get_object(cluster.prefix + text) if pending is None else pending[0]
        return self._shared(cluster, text) if value is None and cluster.id in self._origins else value

    def is_removed(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bool:
        return f"{group_resource}\0{namespace}\0{name}".encode() in self._removed(cluster)

    # --- what lies beneath: the origin of a fork, then the template

    def _beneath(self, cluster: LogicalCluster, group_resource: str, place: Place) -> bytes | None:
        """What is shown now at a place where the logical cluster holds nothing."""
        if cluster.id in self._origins:
            value = self._shared(cluster, "\0".join((group_resource, *place)).encode())
            if value is not None:
                return value
        return self._shown(cluster, group_resource, place) if group_resource in self._templated else None

    def _beneath_at(self, cluster: LogicalCluster, group_resource: str, place: Place, revision: int) -> bytes | None:
        """The same at a revision."""
        if cluster.id in self._origins and revision >= cluster.created_revision:
            text = "\0".join((group_resource, *place)).encode()
            removed = self._removed(cluster).get(text)
            value = self._forks.shared(cluster.id, text) if removed is None or removed > revision else None
            if value is not None:
                return value
        return self._shown_at(cluster, group_resource, place, revision) if group_resource in self._templated else None

    def _shared(self, cluster: LogicalCluster, text: bytes) -> bytes | None:
        """What a fork shows of its origin at a place where it holds nothing."""
        return None if text in self._removed(cluster) else self._forks.shared(cluster.id, text)

    def _removed_of(self, cluster_id: int) -> dict[bytes, int]:
        cluster = self._clusters.by_id(cluster_id)
        return self._removed(cluster) if cluster is not None else {}

    def _shown(self, cluster: LogicalCluster, group_resource: str, place: Place) -> bytes | None:
        """What the template shows now at a place where the logical cluster holds nothing."""
        if not self._template.has(group_resource, place):
            return None
        if "\0".join((group_resource, *place)).encode() in self._removed(cluster):
            return None
        return self._template.value(cluster, group_resource, place)

    def _shown_at(self, cluster: LogicalCluster, group_resource: str, place: Place, revision: int) -> bytes | None:
        """The same at a revision."""
        if not self._template.has(group_resource, place) or revision < cluster.created_revision:
            return None
        removed = self._removed(cluster).get("\0".join((group_resource, *place)).encode())
        if removed is not None and removed <= revision:
            return None
        return self._template.value(cluster, group_resource, place)

    def shown_at_birth(self, cluster_id: int, group_resource: str) -> Sequence[Change]:
        cluster = self._clusters.by_id(cluster_id) if group_resource in self._templated or self._origins else None
        if cluster is None:
            return ()
        found = []
        if cluster_id in self._origins:
            base = keyspace.type_prefix(cluster.prefix, group_resource)
            for text, value in self._forks.all_shared(cluster_id, base[8:], base[8:-1] + b"\1"):
                _, namespace, name = text.decode().split("\0")
                found.append(Change(_ADDED, cluster.created_revision, group_resource, namespace, name, value, None))
        if group_resource not in self._templated:
            return found
        for place in self._template.places(group_resource, "", None):
            shown = self._template.value(cluster, group_resource, place)
            if shown is not None:
                found.append(Change(_ADDED, cluster.created_revision, group_resource, *place, shown, None))
        return found

    def _removed(self, cluster: LogicalCluster) -> dict[bytes, int]:
        found = cluster.removed
        if found is None:
            start = keyspace.REMOVED + cluster.prefix
            keys = self._writer.scan_meta(start, keyspace.after_prefix(start), keyspace.MAX_CHANGES)
            found = cluster.removed = {
                key[len(start) :]: int.from_bytes(self._writer.get_meta(key) or b"", "big") for key in keys
            }
        return found

    def _with_beneath(
        self, cluster: LogicalCluster, group_resource: str, namespace: str, after: tuple[str, str] | None,
        revision: int, limit: int, pairs: list[tuple[bytes, bytes]],
    ) -> list[ScanItem]:  # fmt: skip
        """Own objects, the origin's and the template's, in key order, each place once."""
        skip = len(cluster.prefix) + len(group_resource.encode()) + 1
        own = {}
        for key, value in pairs:
            found, _, name = key[skip:].decode().partition("\0")
            own[found, name] = value
        if cluster.id in self._origins and revision >= cluster.created_revision:
            self._add_origins(cluster, group_resource, namespace, after, revision, limit, own)
        places = [place for place in self._template.places(group_resource, namespace, after) if place not in own]
        # By bytes, as keys are: names of objects are seldom ASCII by accident only.
        merged = sorted([*own, *places], key=lambda place: "\0".join(place).encode())
        items: list[ScanItem] = []
        for place in merged:
            if len(items) == limit:
                break
            shown = own.get(place) or self._shown_at(cluster, group_resource, place, revision)
            if shown is not None:
                items.append(ScanItem(*place, shown))
        return items

    def _add_origins(
        self, cluster: LogicalCluster, group_resource: str, namespace: str, after: tuple[str, str] | None,
        revision: int, limit: int, own: dict[tuple[str, str], bytes],
    ) -> None:  # fmt: skip
        """To what a fork holds in that range at the revision, what it shows besides; the first `limit` of it."""
        base = keyspace.type_prefix(cluster.prefix, group_resource, namespace)[8:]
        start = base if after is None else f"{group_resource}\0{after[0]}\0{after[1]}\0".encode()
        removed, added = self._removed(cluster), 0
        for text, value in self._forks.all_shared(cluster.id, start, base[:-1] + b"\1"):
            if added == limit:
                return
            _, found, name = text.decode().split("\0")
            gone = removed.get(text)
            if (found, name) not in own and (gone is None or gone > revision):
                own[found, name] = value
                added += 1

    def follow_writes(
        self,
        group_resources: frozenset[str],
        accepted: Callable[[LogicalCluster, str, str, str], None],
        undone: Callable[[LogicalCluster], None],
    ) -> None:
        self._followed, self._accepted, self._undone = group_resources, accepted, undone

    def count(self, cluster: LogicalCluster, group_resource: str) -> int:
        raw = self._writer.get_meta(keyspace.count_key(group_resource, cluster.prefix))
        own = int.from_bytes(raw, "big") if raw else 0
        if group_resource not in self._templated:
            return own
        return own + sum(
            self.pending_own(cluster, group_resource, *place) is None
            and self._shown(cluster, group_resource, place) is not None
            for place in self._template.places(group_resource, "", None)
        )

    def count_in_namespace(self, cluster: LogicalCluster, group_resource: str, namespace: str) -> int:
        base = keyspace.type_prefix(cluster.prefix, group_resource, namespace)
        if base in self._touched or group_resource in self._templated or cluster.id in self._origins:
            return -1
        known = self._namespace_counts.get(base)
        if known is None:
            limit = self._settings.counted_objects
            known = self._engine.count(keyspace.OBJECTS, base, base[:-1] + b"\1", limit + 1)
            if known > limit:
                return -1
            if len(self._namespace_counts) >= _MAX_NAMESPACE_COUNTS:
                self._namespace_counts.clear()
            self._namespace_counts[base] = known
        return known

    def scan_all(
        self, group_resource: str, namespace: str, revision: int, retention: int, after: Position | None, sees: Sees
    ) -> WildcardScan:
        return self._everywhere.open(group_resource, namespace, revision, retention, after, sees)

    def clusters_with(self, group_resource: str, after: int = 0) -> Iterator[int]:
        start = keyspace.count_key(group_resource, keyspace.number(after + 1))
        end = keyspace.after_prefix(keyspace.count_key(group_resource, b""))
        while pairs := self._engine.scan(keyspace.META, start, end, self._settings.scan_slice):
            for key, _ in pairs:
                yield int.from_bytes(key[-8:], "big")
            start = pairs[-1][0] + b"\0"

    def dependents(self, cluster: LogicalCluster, uid: str, after: Dependent | None, limit: int) -> list[Dependent]:
        base = owners.prefix(cluster.id, uid)
        start = base if after is None else base + "\0".join(after).encode() + b"\0"
        found = self._writer.scan_meta(start, base[:-1] + b"\1", limit)
        named = [owners.dependent(key, len(base)) for key in found]
        origin_id = self._origins.get(cluster.id)
        origin = self._clusters.by_id(origin_id) if origin_id is not None else None
        if origin is None:
            return named
        mine = set(named)
        for each in self.dependents(origin, uid, after, limit):
            # As the origin has it now; where that is not what the fork shows, the fork has an entry of its own.
            text = "\0".join(each).encode()
            is_held = cluster.prefix + text in self._overlay or self._get_object(cluster.prefix + text) is not None
            if each not in mine and not is_held and self._shared(cluster, text) is not None:
                named.append(each)
        return sorted(named)[:limit]

    # --- the log

    def log(
        self,
        cluster: LogicalCluster,
        after: int,
        upto: int,
        limit: int,
        group_resource: str = "",
        retention: int = 0,
    ) -> list[Commit]:
        oldest = max(cluster.oldest) if retention < 0 else cluster.oldest[retention]
        if after < oldest:
            raise Compacted(after, oldest)
        return self._log.since(cluster.id, after, min(upto, self._writer.durable), limit, group_resource, retention)

    def log_all(self, after: int, upto: int, limit: int, group_resource: str = "", retention: int = 0) -> list[Commit]:
        oldest = self._compaction.lost(retention)
        if after < oldest:
            raise Compacted(after, oldest)
        upto, unlisted = min(upto, self._writer.durable), self.transfers.unlisted
        return self._log.since_all(after, upto, limit, group_resource, retention, unlisted)

    # --- meta

    def get_meta(self, key: bytes) -> bytes | None:
        return self._writer.get_meta(keyspace.OWN + key)

    def put_meta(self, items: Mapping[bytes, bytes | None]) -> Group:
        group = self._writer.gather()
        for key, value in items.items():
            self._writer.put_meta(group, keyspace.OWN + key, value)
        return group

    # --- life

    def on_commit(self, listener: Callable[[Sequence[Commit]], None]) -> None:
        self._writer.on_commit(listener)

    def on_compaction(self, listener: Callable[[LogicalCluster], None]) -> None:
        self._compaction.listeners.append(listener)

    async def compact(self, now_us: int) -> int:
        return await self._compaction.run(now_us)

    async def close(self) -> None:
        await self._writer.drain()
        self._sync.close()
        self._engine.close()

    def statistics(self) -> StoreStatistics:
        refusal = self._space.refusal or self._writer.refused
        return StoreStatistics(
            self._writer.groups,
            self._writer.commits,
            self._writer.durable,
            self._clock.last,
            len(self._overlay),
            refusal.cause if refusal else "",
            self._compaction.compacted,
            self._engine.statistics(),
        )

    async def census(self) -> tuple[int, int]:
        """Logical clusters and objects, durable. Counted when asked, in slices: for administrators."""
        clusters = objects = 0
        async for pairs in self._slices(keyspace.PATHS):
            clusters += len(pairs)
        async for pairs in self._slices(keyspace.TYPES):
            objects += sum(int.from_bytes(value, "big") for _, value in pairs)
        return clusters, objects

    async def _slices(self, prefix: bytes) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        start, end = prefix, keyspace.after_prefix(prefix)
        while pairs := self._engine.scan(keyspace.META, start, end, self._settings.scan_slice):
            yield pairs
            start = pairs[-1][0] + b"\0"
            await asyncio.sleep(0)

    def _check_readable(self, cluster: LogicalCluster, revision: int, retention: int) -> None:
        oldest = cluster.oldest[retention]
        if revision < oldest:
            raise Compacted(revision, oldest)
        if revision > self._writer.durable:
            group = self._writer.newest_group()
            if group is not None:
                raise NotDurable(group)

    def _check_writable(self, writes: Sequence[Put | Remove]) -> int:
        """The time of the commit; raises ReadOnly."""
        now_us = self._now_us()
        if self._space.is_due(now_us):
            self._space.look(now_us)
            if self._space.refusal is None:
                # The engine heals itself within seconds of getting space: let the next write find out.
                self._writer.refused = None
        refusal = self._space.refusal or self._writer.refused
        if refusal is not None and any(type(write) is Put for write in writes):
            raise ReadOnly(refusal.cause)
        return now_us

    def _apply(
        self,
        cluster: LogicalCluster,
        revision: int,
        now_us: int,
        writes: Sequence[Put | Remove],
        request_id: bytes,
        code: int,
        author: str = "",
    ) -> PendingCommit:
        """One commit into the gathering group: objects, log, versions, order, counts, overlay."""
        writer, overlay = self._writer, self._overlay
        group = writer.gather()
        put = group.batch.put
        raw_revision = revision.to_bytes(8, "big")
        log_prefix = cluster.prefix + raw_revision
        # Where the clock was stepped back the revision counts on from the past; then the record tells the time.
        wall_us = 0 if revision // 1000 == now_us else now_us
        origin = commit_log.origin(request_id, author)
        changes: list[Change] = []
        values: list[bytes] = []
        bits = log_bytes = 0
        counts: dict[str, int] = {}
        is_fork = cluster.id in self._origins
        forked = bool(self._forks.of) and cluster.id in self._forks.of
        is_born_now = revision == cluster.id and not is_fork  # nothing can be there yet: not looked for
        if VERIFY:
            invariants.check_commit(cluster, writes, revision, self._writer.durable, self.pending)
        for n, write in enumerate(writes):
            group_resource, namespace, name = write[:3]
            text = f"{group_resource}\0{namespace}\0{name}".encode()
            key = cluster.prefix + text
            found = overlay.get(key)
            previous = found[0] if found is not None else None if is_born_now else self._get_object(key)
            embedded = b""
            previous_revision = 0
            is_own = previous is not None
            is_shared = False
            if is_fork and not is_own:
                previous = self._shared(cluster, text)
                is_own = is_shared = previous is not None
            if forked and previous is not None:
                self._give_forks(group, cluster, text, previous)
            if not is_own and group_resource in self._templated:
                previous = self._shown(cluster, group_resource, (namespace, name))
            if previous is not None:
                previous_revision = int.from_bytes(previous[:8], "big")
                if not is_own or previous_revision <= cluster.oldest[write.retention]:
                    embedded = previous
            if type(write) is Put:
                created = revision if previous is None else envelope.created_revision(previous)
                value = envelope.encode(
                    write.json, write.hole, write.annotations, revision, created, write.uid, write.api_version,
                    envelope.encode_pairs(write.labels), envelope.encode_pairs(write.fields), write.fingerprint,
                )  # fmt: skip
                put(keyspace.OBJECTS, key, value)
                group.entries[key] = value
                overlay[key] = (value, group)
                cluster.stored_bytes += len(value)
                if previous is None or not is_own:
                    cluster.objects += 1
                    counts[group_resource] = counts.get(group_resource, 0) + 1
                    if self._namespace_counts:
                        self._count_in_namespace(cluster, group_resource, namespace, 1)
                else:
                    cluster.stored_bytes -= len(previous)
                if previous is None:
                    type_ = _ADDED
                else:
                    type_ = _MODIFIED
                    if not embedded and envelope.selection(previous) != envelope.selection(value):
                        embedded = previous
            else:
                assert previous is not None, "a deletion of what is not there"
                type_ = _DELETED
                value = envelope.at_revision(
                    previous, write.json, write.hole, revision, envelope.annotations_offset(write.json, write.hole)
                )
                group.batch.delete(keyspace.OBJECTS, key)
                group.entries[key] = None
                overlay[key] = (None, group)
                cluster.deletions[group_resource] = revision
                self._deletions.deleted(group_resource, revision)
                if is_own:
                    cluster.objects -= 1
                    cluster.stored_bytes -= len(previous)
                    counts[group_resource] = counts.get(group_resource, 0) - 1
                    if self._namespace_counts:
                        self._count_in_namespace(cluster, group_resource, namespace, -1)
                in_template = group_resource in self._templated and self._template.has(
                    group_resource, (namespace, name)
                )
                if in_template or (is_fork and self._forks.shared(cluster.id, text) is not None):
                    self._remove_shown(group, cluster, text, revision)
            if owners.MARK in write.json or (previous is not None and owners.MARK in previous):
                self._index_owners(group, cluster, text, None if is_shared else previous, write)
            record = commit_log.encode(
                type_, write.retention, code, previous_revision, wall_us, origin, text, value, embedded
            )
            raw_n = n.to_bytes(2, "big")
            put(keyspace.LOG, log_prefix + raw_n, record)
            put(keyspace.VERSIONS, key + b"\0" + raw_revision, raw_n if n else b"")
            self._touch(group, key[: 9 + len(group_resource.encode())], namespace)
            log_bytes += len(record)
            bits |= _RETENTION_BITS[write.retention]
            changes.append(Change(type_, revision, group_resource, namespace, name, value, previous))
            values.append(value)
            if group_resource in self._followed:
                self._accepted(cluster, group_resource, namespace, name)
        for group_resource, step in counts.items():
            if not self._count(group, cluster, group_resource, step):
                self._deletions.emptied(group_resource, cluster.id, revision)
        put(keyspace.ORDER, raw_revision, cluster.prefix + bytes((bits,)))
        cluster.log_bytes += log_bytes
        group.usages[cluster.id] = cluster
        if request_id:
            group.requests[request_id] = cluster.id
            writer.requests[request_id] = (cluster.id, group)
        if cluster.log_bytes > self._settings.retained_bytes_per_cluster:
            self._compaction.over.add(cluster.id)
        born = cluster.path if revision == cluster.id else ""
        writer.added(group, Commit(revision, cluster.id, tuple(changes), born))
        return PendingCommit(revision, values, group)

    def _remove_shown(self, group: WriteGroup, cluster: LogicalCluster, text: bytes, revision: int) -> None:
        """What lies beneath is deleted, itself or what was written over it: it does not come back."""
        removed = self._removed(cluster)
        if text not in removed:
            removed[text] = revision
            self._writer.put_meta(group, keyspace.REMOVED + cluster.prefix + text, keyspace.number(revision))

    def _index_owners(
        self, group: WriteGroup, cluster: LogicalCluster, text: bytes, previous: bytes | None, write: Put | Remove
    ) -> None:
        old = owners.owner_uids(envelope.body(previous)) if previous is not None else frozenset()
        new = owners.owner_uids(write.json) if type(write) is Put else frozenset()
        for uid in old - new:
            self._writer.put_meta(group, owners.key(cluster.id, uid, text), None)
        for uid in new - old:
            self._writer.put_meta(group, owners.key(cluster.id, uid, text), b"")

    def _touch(self, group: WriteGroup, type_prefix: bytes, namespace: str) -> None:
        self._touched[type_prefix] = group
        group.touched.add(type_prefix)
        if namespace:
            prefix = type_prefix + namespace.encode() + b"\0"
            self._touched[prefix] = group
            group.touched.add(prefix)

    def _count_in_namespace(self, cluster: LogicalCluster, group_resource: str, namespace: str, step: int) -> None:
        base = keyspace.type_prefix(cluster.prefix, group_resource, namespace)
        if base in self._namespace_counts:
            self._namespace_counts[base] += step

    def _count(self, group: WriteGroup, cluster: LogicalCluster, group_resource: str, step: int) -> int:
        key = keyspace.count_key(group_resource, cluster.prefix)
        raw = self._writer.get_meta(key)
        count = (int.from_bytes(raw, "big") if raw else 0) + step
        self._writer.put_meta(group, key, keyspace.number(count) if count else None)
        return count

    def _complete_group(self, group: WriteGroup) -> None:
        self._clusters.write_usages(group)

    def _undo_group(self, group: WriteGroup) -> None:
        self._namespace_counts.clear()
        self._clusters.reload(group)
        self._compaction.reload()
        for cluster in group.usages.values():
            self._undone(cluster)


def _newest_revision(engine: KeyValueEngine) -> int:
    found = engine.scan(keyspace.ORDER, b"", keyspace.END, 1, reverse=True)
    newest = int.from_bytes(found[0][0], "big") if found else 0
    # Byte-bounded compaction may have taken the newest order entries; the classes' marks remember them.
    marks = engine.scan(keyspace.META, keyspace.LOST, keyspace.after_prefix(keyspace.LOST), 256)
    return max([newest, *(int.from_bytes(value[:8], "big") for _, value in marks)])


def _stored_clock(engine: KeyValueEngine) -> int:
    return int.from_bytes(engine.get(keyspace.META, keyspace.CLOCK_KEY) or b"", "big")


def _write_clock(engine: KeyValueEngine, revision: int) -> bool:
    """Make the revision at which this process begins durable: clients are told it before there is any commit.

    False if the disk takes no writes: then nothing newer than what it holds may be told.
    """
    batch = engine.batch()
    batch.put(keyspace.META, keyspace.CLOCK_KEY, keyspace.number(revision))
    try:
        engine.write(batch)
    except OSError:
        return False
    engine.sync()
    return True

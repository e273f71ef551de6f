"""Incarnations of logical clusters: path ↔ id, their usage records, and which of them are kept ready.

An idle logical cluster has three small records on disk and nothing in memory. Instances live while somebody holds them;
two generations of a dictionary keep the recently used ones ready, bounded by settings.cached_clusters.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from weakref import WeakValueDictionary

from kcpshard import failpoints
from kcpshard.storage import keyspace
from kcpshard.storage.clock import RevisionClock
from kcpshard.storage.contract import KeyValueEngine, LogicalCluster, NotDurable
from kcpshard.storage.writer import WriteGroup, Writer

ACTIVE, SEALED, DELETING, TERMINATING = "Active", "Sealed", "Deleting", "Terminating"
_STATES = (ACTIVE, SEALED, DELETING, TERMINATING)  # their places are on disk
_PAGE = 256
_CONTENT = struct.Struct(">QQ")  # objects, bytes


def encode_usage(log_bytes: int, oldest: Sequence[int]) -> bytes:
    return struct.pack(f">{len(oldest) + 1}Q", log_bytes, *oldest)


def decode_usage(raw: bytes, classes: int, created_revision: int) -> tuple[int, list[int]]:
    """Log bytes and the oldest revision of each class; a class added since the record was written starts at birth."""
    log_bytes, *oldest = struct.unpack(f">{len(raw) // 8}Q", raw)
    return log_bytes, (oldest + [created_revision - 1] * classes)[:classes]


def decode_content(raw: bytes) -> tuple[int, int]:
    objects, size = _CONTENT.unpack(raw)
    return objects, size


def encode_path(cluster_id: int, state: str) -> bytes:
    return keyspace.number(cluster_id) + bytes((_STATES.index(state),))


def decode_path(raw: bytes) -> tuple[int, str]:
    return int.from_bytes(raw[:8], "big"), _STATES[raw[8]]


class Clusters:
    def __init__(self, engine: KeyValueEngine, writer: Writer, clock: RevisionClock, classes: int, cached: int) -> None:
        self._engine, self._writer, self._clock, self._classes = engine, writer, clock, classes
        self._generation_size = max(cached // 2, 1)
        self.young: dict[str, LogicalCluster] = {}  # looked into directly on the path of every request
        self._old: dict[str, LogicalCluster] = {}
        self.on_move: Callable[[int], None] = lambda _id: None  # told of each that comes from another shard or leaves
        self._alive: WeakValueDictionary[int, LogicalCluster] = WeakValueDictionary()

    def find(self, path: str) -> LogicalCluster | None:
        """The durable incarnation; raises NotDurable for one that is being born."""
        found = self.pending(path)
        if found is not None and found.born_in is not None:
            raise NotDurable(found.born_in)
        return found

    def pending(self, path: str) -> LogicalCluster | None:
        found = self.young.get(path)
        if found is not None:
            return found
        found = self._old.get(path)
        if found is None:
            raw = self._writer.get_meta(keyspace.path_key(path))
            if raw is None:
                return None
            cluster_id, state = decode_path(raw)
            found = self._alive.get(cluster_id) or self._load(cluster_id, path, state)
        self._keep(found)
        return found

    def by_id(self, cluster_id: int) -> LogicalCluster | None:
        found = self._alive.get(cluster_id)
        if found is not None:
            return found
        raw_path = self._writer.get_meta(keyspace.name_key(cluster_id))
        if raw_path is None:
            return None
        path = raw_path.decode()
        raw = self._writer.get_meta(keyspace.path_key(path))
        if raw is None or decode_path(raw)[0] != cluster_id:
            return None
        return self._load(cluster_id, path, decode_path(raw)[1])

    def alive(self, cluster_id: int) -> LogicalCluster | None:
        """The instance, if somebody holds one."""
        return self._alive.get(cluster_id)

    def bear(self, path: str, revision: int, group: WriteGroup) -> LogicalCluster:
        """A new incarnation, in the same batch as its first objects."""
        cluster = _incarnation(path, revision, ACTIVE, 0, [revision - 1] * self._classes, revision - 1)
        cluster.born_in = group
        self._alive[revision] = cluster
        self._keep(cluster)
        put = self._writer.put_meta
        put(group, keyspace.path_key(path), encode_path(revision, ACTIVE))
        put(group, keyspace.name_key(revision), path.encode())
        group.usages[revision] = cluster
        group.when_durable(lambda: _is_born(cluster))
        if failpoints.armed:
            failpoints.reach("clusters.birth")
        return cluster

    def take(
        self, path: str, cluster_id: int, state: str, log_bytes: int, oldest: list[int], revision: int,
        group: WriteGroup,
    ) -> LogicalCluster:  # fmt: skip
        """An incarnation from another shard, complete in this group. Of earlier deletions it knows nothing."""
        cluster = _incarnation(path, cluster_id, state, log_bytes, oldest, revision)
        self._alive[cluster_id] = cluster
        self._old.pop(path, None)
        self._keep(cluster)
        self._writer.put_meta(group, keyspace.path_key(path), encode_path(cluster_id, state))
        self._writer.put_meta(group, keyspace.name_key(cluster_id), path.encode())
        group.usages[cluster_id] = cluster
        self.on_move(cluster.id)
        return cluster

    def forget(self, cluster: LogicalCluster) -> None:
        """It has gone: the instance is only for those who hold it."""
        self.young.pop(cluster.path, None)
        self._old.pop(cluster.path, None)
        self._alive.pop(cluster.id, None)
        self.on_move(cluster.id)

    def set_state(self, cluster: LogicalCluster, state: str, group: WriteGroup) -> None:
        self._writer.put_meta(group, keyspace.path_key(cluster.path), encode_path(cluster.id, state))
        cluster.state = state

    def bury(self, cluster: LogicalCluster, now_us: int, group: WriteGroup) -> None:
        """The path is free from now on; what is left under the id goes later (`clearing`)."""
        put = self._writer.put_meta
        put(group, keyspace.path_key(cluster.path), None)
        put(group, keyspace.dead_key(cluster.id), keyspace.number(now_us))
        cluster.state = DELETING
        for kept in (self.young, self._old):
            if kept.get(cluster.path) is cluster:
                del kept[cluster.path]
        self._alive.pop(cluster.id, None)

    def write_usages(self, group: WriteGroup) -> None:
        """Called before the group is written: one usage record for each logical cluster in it."""
        put = group.batch.put
        for cluster in group.usages.values():
            put(keyspace.META, keyspace.usage_key(cluster.id), encode_usage(cluster.log_bytes, cluster.oldest))
            put(keyspace.META, keyspace.content_key(cluster.id), _CONTENT.pack(cluster.objects, cluster.stored_bytes))

    def reload(self, group: WriteGroup) -> None:
        """The group was refused: what it had changed of its logical clusters is as on disk again."""
        for cluster in group.usages.values():
            raw = self._engine.get(keyspace.META, keyspace.usage_key(cluster.id))
            if raw is None:  # it was being born
                self.young.pop(cluster.path, None)
                self._old.pop(cluster.path, None)
                self._alive.pop(cluster.id, None)
                continue
            cluster.removed = None
            cluster.log_bytes, cluster.oldest = decode_usage(raw, self._classes, cluster.created_revision)
            cluster.oldest_revision = cluster.oldest[0]
            cluster.objects, cluster.stored_bytes = self._content(cluster)
        for key, value in group.meta.items():
            if key.startswith(keyspace.PATHS) and value is not None:
                self._reload_state(value)

    def after(self, path: str) -> Iterator[LogicalCluster]:
        """Durable incarnations in path order."""
        start = keyspace.path_key(path) + b"\0" if path else keyspace.PATHS
        end = keyspace.after_prefix(keyspace.PATHS)
        while pairs := self._engine.scan(keyspace.META, start, end, _PAGE):
            for key, raw in pairs:
                cluster_id, state = decode_path(raw)
                name = key[len(keyspace.PATHS) :].decode()
                found = self._alive.get(cluster_id)
                if found is None:
                    if self._writer.get_meta(key) is None:
                        continue  # it goes with what is being written
                    found = self._load(cluster_id, name, state)
                if found.born_in is None:
                    yield found
            start = pairs[-1][0] + b"\0"

    def usages(self, start: int, limit: int) -> list[tuple[int, int]]:
        """(id, log bytes) of logical clusters from that id on, as written."""
        first, end = keyspace.usage_key(start), keyspace.after_prefix(keyspace.USAGES)
        pairs = self._engine.scan(keyspace.META, first, end, limit)
        size = len(keyspace.USAGES)
        return [(int.from_bytes(k[size:], "big"), int.from_bytes(v[:8], "big")) for k, v in pairs]

    def _reload_state(self, value: bytes) -> None:
        cluster = self._alive.get(decode_path(value)[0])
        raw = self._writer.get_meta(keyspace.path_key(cluster.path)) if cluster else None
        if cluster is not None and raw is not None:
            cluster.state = decode_path(raw)[1]

    def _load(self, cluster_id: int, path: str, state: str) -> LogicalCluster:
        raw = self._writer.get_meta(keyspace.usage_key(cluster_id))
        if raw is None:
            raise RuntimeError(f"the logical cluster {path} has no usage record: run kcp shard verify")
        log_bytes, oldest = decode_usage(raw, self._classes, cluster_id)
        cluster = _incarnation(path, cluster_id, state, log_bytes, oldest, self._clock.last)
        cluster.objects, cluster.stored_bytes = self._content(cluster)
        self._alive[cluster_id] = cluster
        return cluster

    def _content(self, cluster: LogicalCluster) -> tuple[int, int]:
        """Objects and their bytes, as written; counted where an earlier release has not written them."""
        raw = self._engine.get(keyspace.META, keyspace.content_key(cluster.id))
        if raw is not None:
            return decode_content(raw)
        objects = size = 0
        start, end = cluster.prefix, keyspace.after_prefix(cluster.prefix)
        while pairs := self._engine.scan(keyspace.OBJECTS, start, end, _PAGE):
            objects += len(pairs)
            size += sum(len(value) for _, value in pairs)
            start = pairs[-1][0] + b"\0"
        return objects, size

    def _keep(self, cluster: LogicalCluster) -> None:
        # Two generations are an LRU good enough for point reads of 2 µs, without bookkeeping on every find.
        if len(self.young) >= self._generation_size:
            self._old, self.young = self.young, {}
        self.young[cluster.path] = cluster


def _is_born(cluster: LogicalCluster) -> None:
    if failpoints.armed:
        failpoints.reach("clusters.born")
    cluster.born_in = None


def _incarnation(
    path: str, cluster_id: int, state: str, log_bytes: int, oldest: list[int], known_since: int
) -> LogicalCluster:
    cluster = LogicalCluster()
    cluster.path, cluster.id, cluster.prefix = path, cluster_id, keyspace.number(cluster_id)
    cluster.created_revision, cluster.state, cluster.cached = cluster_id, state, {}
    cluster.oldest, cluster.oldest_revision = oldest, oldest[0]
    cluster.born_in, cluster.log_bytes, cluster.objects, cluster.stored_bytes = None, log_bytes, 0, 0
    cluster.known_since, cluster.deletions, cluster.removed = known_since, {}, None
    return cluster

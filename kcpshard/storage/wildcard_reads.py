"""Objects of one type over all logical clusters of the shard, at one revision, in the order of ids.

    after (id, namespace, name) ─► next slice: one logical cluster after the other ─► done

Which logical clusters hold such objects is in the index of counts. What that index no longer tells (which have lost
their last one since the revision) is remembered here since the process began; before that all logical clusters are
looked at. Decides what to read next; leaves who may see what to its caller, and compaction's bounds to the store.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from kcpshard.storage import keyspace
from kcpshard.storage.clusters import Clusters
from kcpshard.storage.contract import Compacted, KeyValueEngine, LogicalCluster, ScanItem
from kcpshard.storage.past_reads import PastReads

_PAGE = 256  # ids read at once
_MAX_EMPTIED = 10_000  # logical clusters that lost their last object of a type, remembered by type
_MAX_TYPES = 4_096
_MAX_PATHS = 20_000  # when full they are forgotten: one is two point reads


class Position(NamedTuple):
    """The last object given. An empty name: everything of that logical cluster."""

    cluster_id: int
    namespace: str
    name: str


class Found(NamedTuple):
    """Objects of one logical cluster, in key order."""

    cluster_id: int
    path: str
    items: Sequence[ScanItem]
    seen: Any = None  # what `sees` has said of it


Sees = Callable[[int, str], object]  # id and path of a logical cluster → not None if its objects are wanted


class Scan(Protocol):
    def __call__(
        self, cluster: LogicalCluster, group_resource: str, namespace: str, revision: int,
        after: tuple[str, str] | None, limit: int, retention: int,
    ) -> list[ScanItem]: ...  # fmt: skip


class Deletions:
    """What has been deleted since the process began: the newest revision by type, and who lost the last one."""

    def __init__(self, since: int) -> None:
        self._since = since
        self._newest: dict[str, int] = {}
        self._emptied: dict[str, dict[int, int]] = {}
        self._known_since: dict[str, int] = {}  # of types of which too many were emptied

    def deleted(self, group_resource: str, revision: int) -> None:
        if group_resource not in self._newest and len(self._newest) >= _MAX_TYPES:
            self.forget(revision)
        self._newest[group_resource] = revision

    def emptied(self, group_resource: str, cluster_id: int, revision: int) -> None:
        found = self._emptied.setdefault(group_resource, {})
        if len(found) >= _MAX_EMPTIED:
            self._known_since[group_resource] = revision
            found.clear()
        found[cluster_id] = revision

    def any_after(self, group_resource: str, revision: int) -> bool:
        return self._newest.get(group_resource, self._since) > revision

    def emptied_after(self, group_resource: str, revision: int) -> list[int] | None:
        """Ids, ascending; None: not known."""
        if revision < self._known_since.get(group_resource, self._since):
            return None
        found = self._emptied.get(group_resource)
        return sorted(id_ for id_, at in found.items() if at > revision) if found else []

    def forget(self, revision: int) -> None:
        """Of what lies before that revision nothing is known: a logical cluster has come from another shard."""
        self._since = revision
        for each in (self._newest, self._emptied, self._known_since):
            each.clear()


class WildcardReads:
    """`scan` reads a logical cluster that shows more than it holds (`templated`: the types of which it may; `origins`:
    forks). `newest` tells the newest revision."""

    def __init__(
        self, engine: KeyValueEngine, clusters: Clusters, past: PastReads, deletions: Deletions,
        lost: Callable[[int], int], scan: Scan, templated: frozenset[str], origins: Mapping[int, int],
        newest: Callable[[], int],
    ) -> None:  # fmt: skip
        self.engine, self.clusters, self.past, self.deletions = engine, clusters, past, deletions
        self.lost, self.scan, self.templated, self.origins = lost, scan, templated, origins
        self._paths: dict[int, str] = {}
        self._newest = newest
        # When a logical cluster has last come from another shard or left for one. A read at an earlier revision might
        # show it on both shards, or on neither.
        self._moved_at = 0
        clusters.on_move = self._moved

    def open(
        self, group_resource: str, namespace: str, revision: int, retention: int, after: Position | None, sees: Sees
    ) -> "WildcardScan":
        return WildcardScan(self, group_resource, namespace, revision, retention, after, sees)

    def holders(self, group_resource: str, revision: int, after: int) -> list[tuple[int, int]]:
        """(id, objects held now) of logical clusters with an id above `after` that may hold such objects at the
        revision, at most about _PAGE; 0: not known. None left: empty."""
        emptied = self.deletions.emptied_after(group_resource, revision)
        if emptied is None or group_resource in self.templated:
            return self._all(after)
        start = keyspace.count_key(group_resource, keyspace.number(after + 1))
        end = keyspace.after_prefix(keyspace.count_key(group_resource, b""))
        pairs = self.engine.scan(keyspace.META, start, end, _PAGE)
        found = [(int.from_bytes(key[-8:], "big"), int.from_bytes(value, "big")) for key, value in pairs]
        if emptied:
            upto = found[-1][0] if len(found) == _PAGE else 1 << 64
            known = {id_ for id_, _ in found}
            found += [(id_, 0) for id_ in emptied if after < id_ <= upto and id_ not in known]
            found.sort()
        return found

    def _all(self, after: int) -> list[tuple[int, int]]:
        end = keyspace.after_prefix(keyspace.NAMES)
        pairs = self.engine.scan(keyspace.META, keyspace.name_key(after + 1), end, _PAGE)
        return [(int.from_bytes(key[-8:], "big"), 0) for key, _ in pairs]

    def path(self, cluster_id: int) -> str:
        """Of a logical cluster that is alive, or dead and not cleared yet; "" for others."""
        found = self._paths.get(cluster_id)
        if found is None:
            found = self._read_path(cluster_id)
            if len(self._paths) >= _MAX_PATHS:
                self._paths.clear()
            if found:
                self._paths[cluster_id] = found
        return found

    def check_moves(self, revision: int) -> None:
        """Raises Compacted if a logical cluster has moved since that revision."""
        if revision < self._moved_at:
            raise Compacted(revision, self._moved_at)

    def _moved(self, cluster_id: int) -> None:
        self._paths.pop(cluster_id, None)
        self._moved_at = self._newest()

    def _read_path(self, cluster_id: int) -> str:
        raw = self.engine.get(keyspace.META, keyspace.name_key(cluster_id))
        return raw.decode() if raw is not None else ""


class WildcardScan:
    """One read, slice by slice. `is_done` after the last slice."""

    def __init__(
        self, reads: WildcardReads, group_resource: str, namespace: str, revision: int, retention: int,
        after: Position | None, sees: Sees,
    ) -> None:  # fmt: skip
        self._reads, self._group_resource, self._namespace = reads, group_resource, namespace
        self._revision, self._retention, self._sees = revision, retention, sees
        self._last = after.cluster_id if after else 0  # the id up to which all holders have been read
        self._inside: tuple[int, tuple[str, str]] | None = None  # a logical cluster read in part
        if after is not None and after.name:
            self._last, self._inside = after.cluster_id - 1, (after.cluster_id, (after.namespace, after.name))
        self._holders: list[tuple[int, int]] = []  # read ahead, the next one last
        self.is_done = False

    def next_slice(self, limit: int, most_clusters: int = 64) -> list[Found]:
        """At most `limit` objects of at most so many logical clusters; none does not mean done. Raises Compacted."""
        self._reads.check_moves(self._revision)
        found: list[Found] = []
        left, looked_at = limit, 0
        if self._inside is None and self._is_plain() and (self._holders or self._read_on()):
            left, looked_at = self._take_whole(found, left, most_clusters)
        while left > 0 and looked_at < most_clusters and not self.is_done:
            if not self._holders and not self._read_on():
                break
            cluster_id, count = self._holders[-1]
            looked_at += 1
            path = self._reads.path(cluster_id)
            if path and (seen := self._sees(cluster_id, path)) is not None:
                after = self._inside[1] if self._inside is not None and self._inside[0] == cluster_id else None
                items, is_whole = self._objects(cluster_id, path, after, left, count)
                if items:
                    found.append(Found(cluster_id, path, items, seen))
                    left -= len(items)
                if not is_whole:
                    self._inside = (cluster_id, (items[-1].namespace, items[-1].name))
                    break
            self._inside = None
            self._last = cluster_id
            self._holders.pop()
        return found

    def _is_plain(self) -> bool:
        """Whether what is stored now is what there was, but for what is newer."""
        reads, group_resource = self._reads, self._group_resource
        return not (
            group_resource in reads.templated
            or self._revision < reads.lost(self._retention)
            or reads.deletions.any_after(group_resource, self._revision)
        )

    def _take_whole(self, found: list[Found], left: int, most: int) -> tuple[int, int]:
        """Logical clusters whose objects fit, one read each: what `next_slice` does, without the calls in between. The
        rest of `left`, and how many logical clusters were looked at."""
        holders, sees, path_of, scan = self._holders, self._sees, self._reads.path, self._reads.engine.scan
        origins = self._reads.origins
        namespace, revision, looked_at = self._namespace, self._revision, 0
        middle = f"{self._group_resource}\0{namespace}\0" if namespace else f"{self._group_resource}\0"
        first = middle.encode()
        end, skip = first[:-1] + b"\1", 8 + len(first)
        while holders and left > 0 and looked_at < most:
            cluster_id, count = holders[-1]
            if not count or count > left or cluster_id in origins:
                break  # read in parts
            looked_at += 1
            path = path_of(cluster_id)
            seen = sees(cluster_id, path) if path else None
            if seen is not None:
                prefix = cluster_id.to_bytes(8, "big")
                items = list[ScanItem]()
                for key, value in scan(keyspace.OBJECTS, prefix + first, prefix + end, count):
                    if int.from_bytes(value[:8], "big") > revision:
                        items.clear()
                        break
                    if namespace:
                        items.append(ScanItem(namespace, key[skip:].decode(), value))
                    else:
                        within, _, name = key[skip:].decode().partition("\0")
                        items.append(ScanItem(within, name, value))
                else:
                    if items:
                        found.append(Found(cluster_id, path, items, seen))
                        left -= len(items)
                    self._last = cluster_id
                    holders.pop()
                    continue
                return left, looked_at  # something newer is there: what was before is read otherwise
            self._last = cluster_id
            holders.pop()
        return left, looked_at

    def _read_on(self) -> bool:
        holders = self._reads.holders(self._group_resource, self._revision, self._last)
        # An id is the revision of the birth: who was born later holds nothing yet.
        self._holders = [each for each in reversed(holders) if each[0] <= self._revision]
        self.is_done = not self._holders
        return not self.is_done

    def _objects(
        self, cluster_id: int, path: str, after: tuple[str, str] | None, limit: int, count: int
    ) -> tuple[list[ScanItem], bool]:
        """And whether there is nothing more in that logical cluster."""
        reads, group_resource = self._reads, self._group_resource
        shows_more = group_resource in reads.templated or cluster_id in reads.origins
        if shows_more or self._revision < reads.lost(self._retention):
            cluster = reads.clusters.by_id(cluster_id)
            if cluster is None:
                return [], True
            items = reads.scan(cluster, group_resource, self._namespace, self._revision, after, limit, self._retention)
            return items, len(items) < limit
        has_deletions = reads.deletions.any_after(group_resource, self._revision)
        # As many as there are, if that is known: a page that is full need not be looked behind.
        wanted = min(limit, count) if count and not has_deletions else limit
        prefix = keyspace.number(cluster_id)
        base = keyspace.type_prefix(prefix, group_resource, self._namespace)
        start = base if after is None else prefix + f"{group_resource}\0{after[0]}\0{after[1]}\0".encode()
        pairs = reads.past.scan(start, base[:-1] + b"\1", self._revision, wanted, has_deletions)
        skip = len(base)
        if self._namespace:
            items = [ScanItem(self._namespace, key[skip:].decode(), value) for key, value in pairs]
        else:
            items = []
            for key, value in pairs:
                namespace, _, name = key[skip:].decode().partition("\0")
                items.append(ScanItem(namespace, name, value))
        return items, len(items) < limit


__all__ = ["Compacted", "Deletions", "Found", "Position", "WildcardReads", "WildcardScan"]

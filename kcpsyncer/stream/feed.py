"""What an agent has of the logical clusters that it serves, from the streams of all shards. Pure.

    unknown ──HERE──► held by a shard ──MOVED──► held by nobody ──HERE──► held by another shard
                            │ GONE                    │ GONE
                            └────────► unknown ◄──────┘

Only what the shard says that holds a logical cluster counts. What a stream has not named by the time that it says to be
complete is gone; a stream that breaks changes nothing. Objects are kept as the JSON they came as.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from kcpshard.rpc import shard_pb2 as pb

Object = dict[str, Any]
NOBODY = 0


class Place(NamedTuple):
    """`type`: "deployments.apps"."""

    type: str
    namespace: str
    name: str


class Held(NamedTuple):
    revision: int
    json: bytes


class LogicalCluster:
    """`shard`: the number of the one that holds it, or NOBODY."""

    __slots__ = ("id", "incarnation", "named", "objects", "path", "shard")

    def __init__(self, path: str, id_: int, incarnation: str) -> None:
        self.path, self.id, self.incarnation, self.shard = path, id_, incarnation, NOBODY
        self.objects: dict[Place, Held] = {}
        self.named: set[Place] | None = None  # since the last HERE; None: everything of it has been named


Changed = Callable[[LogicalCluster, Place], None]


class Feed:
    """`changed` is called for each object that is another one now, or gone; it must not raise."""

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self.clusters: dict[int, LogicalCluster] = {}
        self._pieces: dict[int, list[bytes]] = {}  # of an object that is coming, by shard

    def by_path(self, path: str) -> LogicalCluster | None:
        """The incarnation that some shard holds, else whichever there is."""
        found = [each for each in self.clusters.values() if each.path == path]
        return max(found, key=lambda each: (each.shard != NOBODY, each.id)) if found else None

    def get(self, path: str, place: Place) -> Object | None:
        cluster = self.by_path(path)
        held = cluster.objects.get(place) if cluster is not None else None
        if held is None:
            return None
        found: Object = orjson.loads(held.json)
        return found

    def places(self, path: str, types: Iterable[str]) -> list[Place]:
        cluster = self.by_path(path)
        wanted = frozenset(types)
        return [place for place in cluster.objects if place.type in wanted] if cluster is not None else []

    def known(self) -> list[pb.SyncCluster]:
        return [pb.SyncCluster(path=each.path, id=each.id) for each in self.clusters.values()]

    # --- what a shard says

    def begin(self, shard: int) -> None:
        """Its stream has been opened anew."""
        self._pieces.pop(shard, None)

    def expect_all(self, shard: int) -> None:
        """It has been asked to name everything."""
        for cluster in self.clusters.values():
            if cluster.shard == shard:
                cluster.named = set()

    def take(self, shard: int, batch: pb.SyncDownBatch, is_complete: bool) -> list[pb.SyncObject]:
        """What it says that we have, and we do not: to be asked for. `is_complete`: it has named everything now."""
        missing: list[pb.SyncObject] = []
        for said in batch.clusters:
            if said.state != pb.SYNC_COMPLETE:
                self._say(shard, said)
        for each in batch.objects:
            self._object(shard, each, missing)
        for said in batch.clusters:
            if said.state == pb.SYNC_COMPLETE:
                cluster = self.clusters.get(said.id)
                if cluster is not None and cluster.shard == shard:
                    self._prune(cluster)
        if is_complete:
            for cluster in list(self.clusters.values()):
                if cluster.shard == shard:
                    self._prune(cluster)
        return missing

    def _say(self, shard: int, said: pb.SyncCluster) -> None:
        cluster = self.clusters.get(said.id)
        match said.state:
            case pb.SYNC_HERE:
                if cluster is None:
                    cluster = self.clusters[said.id] = LogicalCluster(said.path, said.id, said.incarnation)
                cluster.path, cluster.incarnation = said.path, said.incarnation
                cluster.shard, cluster.named = shard, set()
            case pb.SYNC_MOVED:
                if cluster is not None and cluster.shard == shard:
                    cluster.shard = NOBODY
            case pb.SYNC_GONE:
                if cluster is not None and cluster.shard in (shard, NOBODY):
                    del self.clusters[said.id]
                    for place in cluster.objects:
                        self._changed(cluster, place)

    def _object(self, shard: int, said: pb.SyncObject, missing: list[pb.SyncObject]) -> None:
        if said.more:
            self._pieces.setdefault(shard, []).append(said.object)
            return
        json = b"".join((*self._pieces.pop(shard, ()), said.object))
        cluster = self.clusters.get(said.cluster_id)
        if cluster is None or cluster.shard != shard:
            return  # it is another one's by now
        place = Place(f"{said.resource}.{said.group}" if said.group else said.resource, said.namespace, said.name)
        held = cluster.objects.get(place)
        if said.unchanged:
            if held is None or held.revision != said.revision:
                missing.append(said)
            if cluster.named is not None:
                cluster.named.add(place)
        elif json:
            if cluster.named is not None:
                cluster.named.add(place)
            if held is None or held.revision != said.revision or held.json != json:
                cluster.objects[place] = Held(said.revision, json)
                self._changed(cluster, place)
        elif cluster.objects.pop(place, None) is not None:
            self._changed(cluster, place)

    def _prune(self, cluster: LogicalCluster) -> None:
        named, cluster.named = cluster.named, None
        if named is None:
            return
        for place in cluster.objects.keys() - named:
            del cluster.objects[place]
            self._changed(cluster, place)

    def statistics(self) -> Mapping[str, int]:
        return {
            "clusters": len(self.clusters),
            "objects": sum(len(each.objects) for each in self.clusters.values()),
            "bytes": sum(len(held.json) for each in self.clusters.values() for held in each.objects.values()),
        }

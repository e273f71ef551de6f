"""All agents that are connected to this shard, and what of its objects is theirs.

The index of what is placed is read from the store once for each type that some agent carries, and then follows every
durable change; so a change costs a shard one look at its labels, whatever the number of agents.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from kcpshard.api.events import Change, Commit, EventType
from kcpshard.execution import Execution
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import Compacted, LogicalCluster
from kcpshard.syncing.agent_stream import COMPANIONS, AgentStream
from kcpshard.syncing.placed_index import Place, PlacedIndex, Subject, mark_of, subject_of
from kcpshard.verbs.shard import Shard

_log = logging.getLogger(__name__)
_SLICE = 128


class Agents:
    """The Hub of the streams. Tasks live in the TaskGroup of whoever runs the shard."""

    def __init__(self, shard: Shard, execution: Execution, tasks: asyncio.TaskGroup) -> None:
        self._shard, self._execution, self._tasks = shard, execution, tasks
        self.index = PlacedIndex()
        self._streams: dict[Subject, set[AgentStream]] = {}
        self._all: set[AgentStream] = set()
        self._types: set[str] = set()  # that the index follows
        self._scanned: set[str] = set()  # and knows completely
        self._waiting: list[tuple[set[str], Callable[[], None]]] = []
        self._shards: list[pb.SyncShard] = []
        self._paths: dict[int, str] = {}  # of logical clusters in the index
        self.authorities: Callable[[], bytes] = lambda: b""
        shard.store.on_commit(self._committed)
        shard.store.on_removal(self._removed)

    # --- streams

    def open(self, agent: pb.SyncAgent, wake: Callable[[], None]) -> AgentStream:
        stream = AgentStream(self._shard, self._execution, self, agent, wake)
        self._all.add(stream)
        for subject in stream.subjects:
            self._streams.setdefault(subject, set()).add(stream)
        stream.tell_shards(self._shards, self.authorities())
        return stream

    def close(self, stream: AgentStream) -> None:
        stream.close()
        self._all.discard(stream)
        for subject in stream.subjects:
            streams = self._streams.get(subject, set())
            streams.discard(stream)
            if not streams:
                self._streams.pop(subject, None)

    def send(self, cluster_uid: str, entry: pb.SyncDownBatch) -> bool:
        """To the agent of that Cluster; False: it is not connected to this shard."""
        for stream in self._all:
            if stream.agent.uid == cluster_uid:
                stream.offer_tunnel(entry)
                return True
        return False

    def take_map(self, newest: pb.ShardMap) -> None:
        found = [pb.SyncShard(number=e.number, address=e.sync_address) for e in newest.shards if e.sync_address]
        if found != self._shards:
            self._shards = found
            for stream in self._all:
                stream.tell_shards(found, self.authorities())

    def statistics(self) -> Mapping[str, object]:
        return {"placed": len(self.index), "agents": [stream.statistics() for stream in self._all]}

    # --- what is placed

    def follow(self, types: Iterable[str], then: Callable[[], None]) -> None:
        missing = set(types) - self._scanned
        if not missing:
            then()
            return
        self._waiting.append((missing, then))
        for group_resource in missing - self._types:
            self._types.add(group_resource)
            self._tasks.create_task(self._scan(group_resource))

    async def _scan(self, group_resource: str) -> None:
        """Every slice shows the durable state of its moment, and what changes afterwards is told by commits."""
        for cluster_id in self._shard.store.clusters_with(group_resource):
            cluster = self._shard.store.cluster_by_id(cluster_id)
            if cluster is not None:
                await self._scan_cluster(cluster, group_resource)
        self._scanned.add(group_resource)
        ready = [each for each in self._waiting if each[0] <= self._scanned]
        self._waiting = [each for each in self._waiting if not each[0] <= self._scanned]
        for _, then in ready:
            then()

    async def _scan_cluster(self, cluster: LogicalCluster, group_resource: str) -> list[Place]:
        store, after, found = self._shard.store, None, []
        while True:
            try:
                items = store.scan(cluster, group_resource, "", store.durable_revision, after, _SLICE)
            except Compacted:
                await asyncio.sleep(0)
                continue
            for item in items:
                place = Place(cluster.id, group_resource, item.namespace, item.name)
                if (subject := _subject(place, item.value)) is not None:
                    self._put(subject, place, envelope.revision(item.value), cluster.path)
                    found.append(place)
            if len(items) < _SLICE:
                return found
            after = (items[-1].namespace, items[-1].name)
            await asyncio.sleep(0)

    def _put(self, subject: Subject, place: Place, revision: int, path: str) -> None:
        self._paths[place.cluster_id] = path
        self.index.put(subject, place, revision)

    def _committed(self, commits: Sequence[Commit]) -> None:
        if not self._types:
            return
        for commit in commits:
            for change in commit.changes:
                if change.group_resource in self._types:
                    self._changed(commit.cluster_id, change)
                if change.group_resource in COMPANIONS and self._all:
                    place = Place(commit.cluster_id, change.group_resource, change.namespace, change.name)
                    for stream in self._all:
                        stream.companion_changed(place)

    def _changed(self, cluster_id: int, change: Change) -> None:
        place = Place(cluster_id, change.group_resource, change.namespace, change.name)
        before = _subject(place, change.previous) if change.previous is not None else None
        after = _subject(place, change.value) if change.type != EventType.DELETED else None
        if before is None and after is None:
            return
        if before is not None and before != after:
            self.index.remove(before, place)
        if after is not None:
            path = self._paths.get(cluster_id) or self._shard.store.path_of(cluster_id)
            self._put(after, place, change.revision, path)
        for subject in {before, after} - {None}:
            assert subject is not None
            for stream in self._streams.get(subject, ()):
                stream.touch(place)

    # --- logical clusters that come and go

    def arrived(self, cluster: LogicalCluster) -> None:
        """From another shard. Everything of it is ours to send from now on."""
        if self._types:
            self._tasks.create_task(self._take_in(cluster))

    async def _take_in(self, cluster: LogicalCluster) -> None:
        places: list[Place] = []
        for group_resource in list(self._types):
            places += await self._scan_cluster(cluster, group_resource)
        self._paths[cluster.id] = cluster.path
        for stream in self._all:
            stream.arrived(cluster, places)

    def left(self, path: str) -> None:
        """For another shard."""
        for cluster_id, known in list(self._paths.items()):
            if known == path:
                self._drop(cluster_id, path, pb.SYNC_MOVED)

    def _removed(self, cluster: LogicalCluster) -> None:
        self._drop(cluster.id, cluster.path, pb.SYNC_GONE)

    def _drop(self, cluster_id: int, path: str, state: "pb.SyncClusterState.ValueType") -> None:
        if self._paths.pop(cluster_id, None) is None:
            return
        self.index.drop_cluster(cluster_id)
        for stream in self._all:
            stream.left(cluster_id, path, state)


def _subject(place: Place, value: bytes) -> Subject | None:
    """Most objects are nobody's: that shows without decoding their labels."""
    mark = mark_of(place.group_resource)
    if mark and mark not in envelope.raw_labels(value):
        return None
    return subject_of(place, envelope.labels(value))

"""One agent's Sync stream, without its transport: batches in through `receive`, batches out through `next_batch`.

Objects are read when their turn comes, as durable as any reader sees them. Requests pass the gate and are then carried
out as those of any client; at most MAX_REQUESTS are under way.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

import orjson

from kcpshard.api.errors import ApiError, TooManyRequests
from kcpshard.api.pod_references import references
from kcpshard.api.requests import Answer
from kcpshard.api.unconverted import NotConverted
from kcpshard.definitions.builtin import group_resource
from kcpshard.definitions.contract import Resource
from kcpshard.execution import Execution, Job, error_answer
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.messages import SYNC_OBJECT_BYTES, answer_response
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable
from kcpshard.syncing import gate, usage
from kcpshard.syncing.agent_feed import AgentFeed
from kcpshard.syncing.identity import acts_as
from kcpshard.syncing.placed_index import (
    CLUSTERS,
    IMPORT,
    IMPORTS,
    PLACED,
    PLACED_LABEL,
    REGISTRATION,
    Place,
    PlacedIndex,
    Subject,
    subject_of,
)
from kcpshard.verbs.get import served_body
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import Shard

BATCH_BYTES = 256 * 1024
PIECE_BYTES = 256 * 1024  # of an object
BATCH_OBJECTS = 256
MAX_REQUESTS = 128
_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - the type of a Secret
MAX_TYPES = 200
MAX_KNOWN = 100_000  # logical clusters that an agent may name
COMPANIONS = frozenset({"secrets", "configmaps", "serviceaccounts", "namespaces"})
OWN_TYPES = {
    IMPORTS: pb.SyncType(group="apiresource.kcp.dev", version="v1alpha1", resource="apiresourceimports"),
    CLUSTERS: pb.SyncType(group="cluster.example.dev", version="v1alpha1", resource="clusters"),
}
_COMPANION_TYPES = {name: pb.SyncType(version="v1", resource=name) for name in COMPANIONS}


class TooMuch(Exception):
    """The agent asks for more than anybody needs."""


class Hub(Protocol):
    """What the streams of one shard share."""

    @property
    def index(self) -> PlacedIndex: ...
    def follow(self, types: Iterable[str], then: Callable[[], None]) -> None:
        """Have the index know of these group resources; `then` is called once it does."""


class _Read(NamedTuple):
    """An object as it is for the agent now; `json` None: it gets none."""

    revision: int
    json: bytes | None
    companions: frozenset[Place] = frozenset()
    is_companion: bool = False


_NOTHING = _Read(0, None)


class AgentStream:
    """A Receiver of Execution. `wake` is called when there is something to send."""

    def __init__(
        self, shard: Shard, execution: Execution, hub: Hub, agent: pb.SyncAgent, wake: Callable[[], None]
    ) -> None:
        self._shard, self._execution, self._hub, self.agent, self._wake = shard, execution, hub, agent, wake
        self._feed = AgentFeed()
        self._types: dict[str, pb.SyncType] = {}
        self._identity = acts_as(agent)
        self._announced: dict[int, str] = {}  # path by id, of logical clusters whose objects are sent
        self._known: set[int] = set()
        self._asked: frozenset[str] = frozenset()  # paths of logical clusters that the agent has something of
        self._resumed_from = 0
        self._out = pb.SyncDownBatch()  # all but objects
        self._subscription = 0
        self._is_closed = False
        self.taken = self.sent = 0
        self.jobs: dict[int, Job] = {}

    # --- what the agent says

    def receive(self, batch: pb.SyncUpBatch) -> None:
        """Raises TooMuch."""
        if batch.HasField("subscribe"):
            self._subscribe(batch.subscribe)
        for missing in batch.missing:
            self._feed.touch(_place(missing))
        self._feed.credit_bytes += batch.credit_bytes
        self.taken = max(self.taken, batch.taken)
        for request in batch.requests:
            self._request(request)
        if batch.credit_bytes or batch.missing:
            self._wake()

    def _subscribe(self, asked: pb.SyncSubscribe) -> None:
        if len(asked.types) > MAX_TYPES or len(asked.known) > MAX_KNOWN:
            raise TooMuch(f"at most {MAX_TYPES} types and {MAX_KNOWN} logical clusters")
        self._types = {group_resource(each.group, each.resource): each for each in asked.types}
        self._types.update(OWN_TYPES)
        self._known = {each.id for each in asked.known}
        self._asked = frozenset(each.path for each in asked.known)
        self._resumed_from, self._subscription = asked.revision, asked.number
        self._feed.forget_marks()
        known = [(each.path, each.id) for each in asked.known]
        self._hub.follow(self._types, lambda: self._name_everything(asked.number, known))

    def _name_everything(self, number: int, known: list[tuple[str, int]]) -> None:
        if self._is_closed or number != self._subscription:
            return
        for path, cluster_id in known:
            self._tell_of(path, cluster_id)
        places = {}
        for subject in self.subjects:
            for place, revision in self._hub.index.of(subject).items():
                if place.group_resource in self._types:
                    places[place] = revision <= self._resumed_from
        self._feed.name_all(("subscription", number), places)
        self._wake()

    def _tell_of(self, path: str, cluster_id: int) -> None:
        """Of one that the agent has something of. What is another shard's is that one's to say."""
        if not self._shard.is_ours(path):
            return
        cluster = self._shard.store.pending_cluster(path)
        if cluster is None or (cluster_id and cluster.id != cluster_id):
            self._out.clusters.append(pb.SyncCluster(path=path, id=cluster_id, state=pb.SYNC_GONE))
        if cluster is not None:
            self._announce(cluster)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        name = self.agent.name
        return Subject(PLACED, name), Subject(IMPORT, name), Subject(REGISTRATION, name)

    # --- what happens in the shard

    def touch(self, place: Place) -> None:
        """It has changed, or is no longer, or not yet, for this agent."""
        if place.group_resource in self._types and not self._is_closed:
            self._feed.touch(place)
            self._wake()

    def companion_changed(self, place: Place) -> None:
        if self._feed.is_needed(place):
            self._feed.touch(place)
            self._wake()

    def arrived(self, cluster: LogicalCluster, places: Iterable[Place]) -> None:
        """From another shard: its objects are named anew, and what is not named is gone."""
        mine = [self._hub.index.of(subject) for subject in self.subjects]
        found = {
            place: False for place in places if place.group_resource in self._types and any(place in m for m in mine)
        }
        if not found and cluster.path not in self._asked:
            return
        self._announced.pop(cluster.id, None)
        self._announce(cluster)
        self._feed.name_all(("cluster", cluster.path, cluster.id), found)
        self._wake()

    def left(self, cluster_id: int, path: str, state: "pb.SyncClusterState.ValueType") -> None:
        self._feed.drop_cluster(cluster_id)
        if self._announced.pop(cluster_id, None) is not None:
            self._out.clusters.append(pb.SyncCluster(path=path, id=cluster_id, state=state))
            self._wake()

    def offer_tunnel(self, entry: pb.SyncDownBatch) -> None:
        """Whatever else is to be said to the agent."""
        self._out.MergeFrom(entry)
        self._wake()

    def tell_shards(self, shards: Iterable[pb.SyncShard], authorities: bytes) -> None:
        del self._out.shards[:]
        self._out.shards.extend(shards)
        self._out.authorities = authorities
        self._wake()

    # --- what is sent

    def next_batch(self) -> pb.SyncDownBatch | None:
        """None: nothing. Raises NotConverted: once that is settled, ask again."""
        out, size, count = self._out, 0, 0
        try:
            while size < BATCH_BYTES and count < BATCH_OBJECTS and (found := self._feed.next()) is not None:
                size += self._add(out, *found)
                count += 1
        except NotConverted:
            if not count:
                raise
        for what in self._feed.reached():
            self._say(out, what)
        if count and self._feed.is_empty:
            out.revision = self._shard.store.durable_revision
        if not out.ByteSize():
            return None
        self.sent += count
        self._out = pb.SyncDownBatch()
        return out

    def _say(self, out: pb.SyncDownBatch, what: object) -> None:
        match what:
            case ("subscription", int(number)):
                out.complete = number
                out.revision = self._shard.store.durable_revision
            case ("cluster", str(path), int(cluster_id)):
                out.clusters.append(pb.SyncCluster(path=path, id=cluster_id, state=pb.SYNC_COMPLETE))

    def _add(self, out: pb.SyncDownBatch, place: Place, may_have: bool) -> int:
        cluster = self._shard.store.cluster_by_id(place.cluster_id)
        try:
            found = _NOTHING if cluster is None else self._read(cluster, place)
        except (NotOwned, ApiError):
            self._feed.named(place, 0)  # on its way to another shard, which will name it
            return 0
        if cluster is not None and found.json is not None:
            self._announce(cluster)
        self._feed.need(place, found.companions)
        made = pb.SyncObject(
            cluster_id=place.cluster_id,
            group=_group(place),
            resource=place.group_resource.partition(".")[0],
            namespace=place.namespace,
            name=place.name,
            revision=found.revision,
            companion=found.is_companion,
        )
        json = found.json
        if json is not None and may_have and found.revision <= self._resumed_from and place.cluster_id in self._known:
            made.unchanged, json = True, None
        size = SYNC_OBJECT_BYTES + len(json or b"")
        self._feed.named(place, size)
        _append(out, made, json)
        return size

    def _read(self, cluster: LogicalCluster, place: Place) -> _Read:
        """Raises NotConverted, NotOwned."""
        self._shard.ownership.check(cluster.path)
        if (type_ := self._types.get(place.group_resource)) is not None:
            found = self._read_placed(cluster, place, type_)
            if found.json is not None:
                return found
        if self._feed.is_needed(place):
            return self._read_companion(cluster, place)
        return _NOTHING

    def _read_placed(self, cluster: LogicalCluster, place: Place, type_: pb.SyncType) -> _Read:
        read = _value(self._shard, cluster, place, type_)
        if read is None or not self._is_for_us(cluster, place, envelope.labels(read[1])):
            return _NOTHING
        resource, value = read
        json, revision = served_body(self._shard, resource, value), envelope.revision(value)
        if place.group_resource in OWN_TYPES:
            return _Read(revision, json)
        needed = {
            Place(cluster.id, each.plural, place.namespace, each.name)
            for each in references({"kind": resource.kind, **orjson.loads(json)})
        }
        if place.namespace:
            needed.add(Place(cluster.id, "namespaces", "", place.namespace))
        return _Read(revision, json, frozenset(needed))

    def _read_companion(self, cluster: LogicalCluster, place: Place) -> _Read:
        read = _value(self._shard, cluster, place, _COMPANION_TYPES[place.group_resource])
        if read is None:
            return _NOTHING
        resource, value = read
        json = served_body(self._shard, resource, value)
        if place.group_resource == "secrets" and orjson.loads(json).get("type") == _TOKEN:
            return _NOTHING  # means nothing elsewhere
        return _Read(envelope.revision(value), json, frozenset(), True)

    def _is_for_us(self, cluster: LogicalCluster, place: Place, labels: Mapping[str, str]) -> bool:
        subject = subject_of(place, labels)
        if subject is None or subject not in self.subjects:
            return False
        if subject.kind != PLACED:
            return cluster.path == self.agent.cluster
        return usage.may_use(self._shard, cluster, subject.name, self.agent)

    def _announce(self, cluster: LogicalCluster) -> None:
        if cluster.id in self._announced:
            return
        default = self._shard.store.pending(cluster, "namespaces", "", "default")
        incarnation = envelope.uid(default) if default is not None else str(cluster.id)
        self._announced[cluster.id] = cluster.path
        self._out.clusters.append(
            pb.SyncCluster(path=cluster.path, id=cluster.id, incarnation=incarnation, state=pb.SYNC_HERE)
        )

    def put_off(self) -> None:
        """What is next cannot be read now: the others first."""
        if (found := self._feed.next()) is not None:
            self._feed.put_off(found[0])

    # --- requests

    def _request(self, request: pb.Request) -> None:
        request.identity, request.impersonation, request.proof = self._identity, b"", b""
        request.user_agent = "kcp-syncer"
        try:
            if len(self.jobs) >= MAX_REQUESTS:
                raise TooManyRequests("the agent has too many requests under way", retry_after_s=1)
            self._shard.ownership.check(request.cluster)
            gate.check(request, self.agent, self._stored(request))
        except (ApiError, NotOwned) as error:
            self.answer(request.id, error_answer(error, request))
            return
        self._execution.execute(request, self)

    def _stored(self, request: pb.Request) -> gate.Stored:
        cluster = self._shard.store.pending_cluster(request.cluster)

        def labels(group: str, resource: str, namespace: str, name: str) -> Mapping[str, str] | None:
            if cluster is None:
                return None
            value = self._shard.store.pending(cluster, group_resource(group, resource), namespace, name)
            return envelope.labels(value) if value is not None else None

        def is_placed(group: str, resource: str, namespace: str, name: str) -> bool:
            found = labels(group, resource, namespace, name)
            return found is not None and self._is_used(cluster, found.get(PLACED_LABEL))

        def has_placed(namespace: str) -> bool:
            if cluster is None or not self._is_used(cluster, self.agent.name):
                return False
            return self._feed.is_needed(Place(cluster.id, "namespaces", "", namespace))

        return gate.Stored(is_placed, has_placed, labels)

    def _is_used(self, cluster: LogicalCluster | None, name: str | None) -> bool:
        if cluster is None or name != self.agent.name:
            return False
        return usage.may_use(self._shard, cluster, name, self.agent)

    def answer(self, id_: int, answer: Answer) -> None:
        if not self._is_closed:
            self._out.responses.append(answer_response(id_, answer))
            self._wake()

    async def piece(self, id_: int, answer: Answer) -> None:
        """Lists do not pass the gate."""
        raise AssertionError("an agent's request was answered with a list")

    def close(self) -> None:
        """The stream has ended; writes under way go on."""
        self._is_closed = True
        self._execution.abandon(self)

    def statistics(self) -> Mapping[str, int | str]:
        return {
            "cluster": self.agent.cluster,
            "name": self.agent.name,
            "waiting": self._feed.waiting,
            "companions": self._feed.companions,
            "sent": self.sent,
            "taken": self.taken,
        }


def _value(shard: Shard, cluster: LogicalCluster, place: Place, type_: pb.SyncType) -> tuple[Resource, bytes] | None:
    """The durable state, without waiting for what is being written: its commit will name it again."""
    resource = shard.catalog.find(cluster, type_.group, type_.version, type_.resource)
    if resource is None:
        return None
    store, stored = shard.store, resource.storage_resource or resource
    try:
        value = store.get(cluster, stored.group_resource, place.namespace, place.name)
    except NotDurable:
        revision = store.durable_revision
        value = store.get_at(cluster, stored.group_resource, place.namespace, place.name, revision, stored.retention)
    return (resource, value) if value is not None else None


def _append(out: pb.SyncDownBatch, made: pb.SyncObject, json: bytes | None) -> None:
    if json is None:
        out.objects.append(made)
        return
    for start in range(0, len(json), PIECE_BYTES):
        piece = out.objects.add()
        piece.CopyFrom(made)
        piece.object, piece.more = json[start : start + PIECE_BYTES], start + PIECE_BYTES < len(json)


def _group(place: Place) -> str:
    return place.group_resource.partition(".")[2]


def _place(found: pb.SyncObject) -> Place:
    return Place(found.cluster_id, group_resource(found.group, found.resource), found.namespace, found.name)

"""The flow of each request, kept exact with every durable change of FlowSchemas and PriorityLevelConfigurations.

What a logical cluster has of them hangs on `LogicalCluster.cached`, and outlives that only while its requests have
seats or wait for them. It is read when somebody first asks, at once if there are few, else in slices: until all of them
are read nothing is classified. The flow of a request depends on who asks and what of, so it is found once for each
identity, verb, resource and namespace.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import orjson

from kcpshard.api.errors import ApiError
from kcpshard.api.events import Change, Commit, EventType
from kcpshard.api.requests import Identity, Request, decode_identity
from kcpshard.flowcontrol.classification import Digest, Schema, schema_of
from kcpshard.flowcontrol.levels import Level, Levels
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ObjectStore

GROUP = "flowcontrol.apiserver.k8s.io"
SCHEMAS, LEVELS = f"flowschemas.{GROUP}", f"prioritylevelconfigurations.{GROUP}"
_CACHED = "flows"  # key in LogicalCluster.cached
_SLICE = 64  # objects read in one turn of the loop: about a millisecond
_REMEMBERED = 512  # classifications of one logical cluster; when full all are forgotten
# By the enum Verb of proto/shard.proto.
_VERBS = ("", "get", "list", "create", "update", "patch", "delete", "deletecollection", "get", "get", "get")
_DOCUMENT, _AUTHORIZE, _FORWARDED = 8, 9, 11
_PATHS = frozenset((_DOCUMENT, _AUTHORIZE))

Item = TypeVar("Item")


class Flow(NamedTuple, Generic[Item]):
    """Where a request belongs. `names` for Response.flow."""

    state: "State[Item]"
    level: Level[Item]
    key: str  # schema and distinguisher: requests with the same one share a hand of queues
    names: bytes

    def may_start(self) -> bool:
        """Those who wait come first."""
        return not self.level.waiting and self.state.may_start(self.level)


class State(Levels[Item]):
    """Of one logical cluster."""

    __slots__ = ("_documents", "_schemas", "_sorted", "cluster_id", "flows", "is_loading", "is_stale")

    def __init__(self, cluster_id: int) -> None:
        super().__init__()
        self.cluster_id = cluster_id
        self._schemas: dict[str, Schema] = {}
        self._documents: dict[str, tuple[str, Mapping[str, Any]]] = {}  # levels: uid and spec
        self._sorted: list[Schema] = []
        self.flows: dict[object, Flow[Item] | None] = {}
        self.is_loading = self.is_stale = True

    def __bool__(self) -> bool:
        return bool(self._schemas or self._documents or self.is_loading)

    def put(self, group_resource: str, name: str, value: bytes | None) -> None:
        self.is_stale = True
        if value is None:
            (self._schemas if group_resource == SCHEMAS else self._documents).pop(name, None)
            return
        document = orjson.loads(envelope.body(value))
        if group_resource == SCHEMAS:
            self._schemas[name] = schema_of(document)
        else:
            self._documents[name] = (document["metadata"]["uid"], document.get("spec") or {})

    def refresh(self, seats: int) -> None:
        self.is_stale = False
        self.flows.clear()
        self._sorted = sorted((s for s in self._schemas.values() if s.level in self._documents), key=lambda s: s[:2])
        self.configure(self._documents, seats)

    def remember(self, key: object, flow: Flow[Item] | None) -> None:
        if len(self.flows) >= _REMEMBERED:
            self.flows.clear()
        self.flows[key] = flow

    def classify(self, digest: Digest) -> Flow[Item] | None:
        for schema in self._sorted:
            if schema.matches(digest):
                level = self.by_name[schema.level]
                key = f"{schema.name}\0{schema.flow_of(digest)}"
                return Flow(self, level, key, f"{schema.uid} {level.uid}".encode())
        return None


_NOTHING: State[Any] = State(0)  # of every logical cluster that is not served these kinds


class Impersonated(Protocol):
    def __call__(self, raw: bytes, cluster: LogicalCluster, /) -> Identity:
        """Raises ApiError."""


class Flows(Generic[Item]):
    """One shard's. `seats` gives how many requests of a logical cluster may be under way at the same time.
    `is_stranger` says whether an identity is nobody there: such requests are refused, take no seat from those that
    belong there, and are not told that there are any."""

    def __init__(
        self,
        store: ObjectStore,
        seats: Callable[[LogicalCluster], int],
        impersonated: Impersonated,
        seats_from: str,
        is_stranger: Callable[[LogicalCluster, bytes], bool],
    ) -> None:
        """`seats_from` is the name of the ConfigMap whose change may change the seats."""
        self._store, self._seats, self._impersonated, self._seats_from = store, seats, impersonated, seats_from
        self._is_stranger = is_stranger
        self._busy: dict[int, State[Item]] = {}  # with requests that have or want a seat, by cluster id
        self.refused = self.timed_out = self.waited = 0
        self.on_change: Callable[[State[Item]], None] | None = None  # who waits may have got a seat
        store.on_commit(self._see)

    def of(self, request: Request) -> Flow[Item] | None:
        """None: no flow control applies. What is forwarded is limited where it is sent (`callouts.budget`)."""
        if request.verb == _FORWARDED:
            return None
        cluster = self._store.pending_cluster(request.cluster)
        if cluster is None:
            return None
        state = cluster.cached.get(_CACHED)
        if type(state) is not State or state is _NOTHING or state.is_stale:
            state = self._state(cluster)
            if state is None:
                return None
        verb, raw = request.verb, request.impersonation or request.identity
        if verb in _PATHS:
            key: object = (raw, verb, request.name, request.body)
        else:
            key = (raw, verb, request.group, request.resource, request.subresource, request.namespace)
        try:
            return state.flows[key]
        except KeyError:
            return self._classify(cluster, state, key, request)

    def of_watch(self, start: pb.StartWatch, identity: bytes) -> Flow[Item] | None:
        """As `of`; the identity is the one that the watch would belong to."""
        cluster = self._store.pending_cluster(start.cluster)
        state = self._state(cluster) if cluster is not None else None
        if state is None:
            return None
        key = (identity, "watch", start.group, start.resource, start.namespace)
        if key not in state.flows:
            if self._is_stranger(cluster, start.identity):  # type: ignore[arg-type]
                return None
            who = decode_identity(identity)
            digest = Digest(who.username, who.groups, "watch", start.group, start.resource, start.namespace)
            state.remember(key, state.classify(digest))
        return state.flows[key]

    def is_of_stranger(self, request: Request) -> bool:
        """Whether it will be refused, and at once, as it would be for a logical cluster that does not exist."""
        cluster = self._store.pending_cluster(request.cluster)
        return cluster is not None and self._is_stranger(cluster, request.identity)

    def rights_changed(self, cluster: LogicalCluster) -> None:
        """Who is a stranger is asked anew."""
        state: Any = cluster.cached.get(_CACHED)
        if type(state) is State:
            state.flows.clear()

    def _classify(
        self, cluster: LogicalCluster, state: State[Item], key: object, request: Request
    ) -> Flow[Item] | None:
        identity = self._identity(cluster, request)
        if identity is None or self._is_stranger(cluster, request.identity):
            return None
        flow = state.classify(_digest(identity, request))
        state.remember(key, flow)
        return flow

    def _identity(self, cluster: LogicalCluster, request: Request) -> Identity | None:
        """None: nobody here, and the verb will say so; whose flows there are is no business of theirs."""
        if not request.identity:
            return None
        own = decode_identity(request.identity)
        if own.scope and own.scope != cluster.id:
            return None
        if not request.impersonation:
            return own
        try:
            return self._impersonated(request.impersonation, cluster)
        except ApiError:
            return None

    # --- seats

    def take(self, flow: Flow[Item]) -> None:
        state = flow.state
        if not state.used and not state.waiting:
            self._busy[state.cluster_id] = state
        state.take(flow.level)

    def release(self, flow: Flow[Item]) -> None:
        """Ask `next` afterwards."""
        flow.state.release(flow.level)

    def next(self, state: State[Item]) -> Item | None:
        """Who waits and is to `take` a seat now."""
        found = state.next()
        if found is None:
            self._forget_idle(state)
        return found

    def wait(self, flow: Flow[Item], item: Item) -> bool:
        state = flow.state
        if not state.wait(flow.level, flow.key, item):
            self.refused += 1
            return False
        self._busy[state.cluster_id] = state
        self.waited += 1
        return True

    def withdraw(self, flow: Flow[Item], item: Item) -> None:
        flow.state.withdraw(flow.level, item)
        self._forget_idle(flow.state)

    def _forget_idle(self, state: State[Item]) -> None:
        if not state.used and not state.waiting:
            self._busy.pop(state.cluster_id, None)

    def statistics(self) -> Mapping[str, int]:
        return {
            "waiting": sum(state.waiting for state in self._busy.values()),
            "executing": sum(state.used for state in self._busy.values()),
            "waited": self.waited,
            "refused": self.refused,
            "timed_out": self.timed_out,
        }

    def levels(self, cluster: LogicalCluster) -> list[Mapping[str, object]]:
        """What each priority level of a logical cluster has and does, by name."""
        state = self._state(cluster)
        found = sorted(state.by_name.values(), key=lambda level: level.name) if state is not None else ()
        return [{"name": e.name, "seats": e.shares, "executing": e.used, "waiting": e.waiting} for e in found]

    # --- what is known of a logical cluster

    def _state(self, cluster: LogicalCluster) -> State[Item] | None:
        state: Any = cluster.cached.get(_CACHED)
        if state is _NOTHING:
            return None
        if type(state) is not State:
            if cluster.born_in is not None:  # its objects cannot be read yet
                return None
            state = self._busy.get(cluster.id) or State(cluster.id)
            if state.is_loading:
                self._load(cluster, state, [(SCHEMAS, None), (LEVELS, None)])
            cluster.cached[_CACHED] = state if state else _NOTHING
        if not state or state.is_loading:
            return None
        if state.is_stale:
            state.refresh(self._seats(cluster))
        return state  # type: ignore[no-any-return]

    def _load(
        self, cluster: LogicalCluster, state: State[Item], rest: list[tuple[str, tuple[str, str] | None]]
    ) -> None:
        """One slice; the next one in another turn of the loop."""
        left = _SLICE
        while rest and left > 0:
            group_resource, after = rest.pop()
            items = self._store.scan(cluster, group_resource, "", self._store.durable_revision, after, left)
            for item in items:
                state.put(group_resource, item.name, item.value)
            if len(items) == left:
                rest.append((group_resource, (items[-1].namespace, items[-1].name)))
            left -= len(items)
        if rest:
            asyncio.get_running_loop().call_soon(self._load, cluster, state, rest)
        else:
            state.is_loading = False

    def _see(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            if commit.born:
                continue  # read when somebody asks
            for change in commit.changes:
                resource = change.group_resource
                if resource in _KINDS or (change.name == self._seats_from and resource == "configmaps"):
                    self._changed(commit.cluster_id, change)

    def _changed(self, cluster_id: int, change: Change) -> None:
        cluster = self._store.cluster_by_id(cluster_id)
        cached = cluster.cached.get(_CACHED) if cluster is not None else None
        if cached is _NOTHING and cluster is not None:
            del cluster.cached[_CACHED]
            return
        state = cached if isinstance(cached, State) else self._busy.get(cluster_id)
        if state is None:
            return
        state.is_stale = True
        if change.group_resource in _KINDS:
            is_gone = change.type is EventType.DELETED
            state.put(change.group_resource, change.name, None if is_gone else change.value)
        if state.waiting and cluster is not None and self.on_change is not None:
            state.refresh(self._seats(cluster))
            self.on_change(state)


_KINDS = frozenset((SCHEMAS, LEVELS))


def _digest(identity: Identity, request: Request) -> Digest:
    verb = request.verb
    if verb == _DOCUMENT:
        return Digest(identity.username, identity.groups, "get", path=request.name.partition("?")[0] or "/")
    if verb == _AUTHORIZE:
        asked = orjson.loads(request.body).get("verb", "get") if request.body else "get"
        return Digest(identity.username, identity.groups, asked, path=request.name.partition("?")[0] or "/")
    resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    name = _VERBS[verb] if verb < len(_VERBS) else ""
    return Digest(identity.username, identity.groups, name, request.group, resource, request.namespace)

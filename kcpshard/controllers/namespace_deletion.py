"""Empties namespaces that are Terminating, then lets them go by removing their finalizer `kubernetes`.

Driven by commits: a namespace that begins to terminate is emptied; while finalizers hold objects in it, each further
change there makes it look again. At start all namespaces are looked through once, so nothing depends on having seen
the beginning. Works through the verbs, as any client would.

A first version: the conditions that kube-controller-manager writes into the namespace's status (what remains, which
finalizers hold it) are not written yet.
"""

import asyncio
import logging
from collections.abc import Sequence

import orjson

from kcpshard.api.errors import ApiError
from kcpshard.api.events import Commit, EventType
from kcpshard.api.requests import Answer, Identity
from kcpshard.definitions.contract import Resource
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import Group, LogicalCluster, NotDurable, ReadOnly
from kcpshard.verbs.dispatch import dispatch
from kcpshard.verbs.outcome import AfterSync, NotOwned
from kcpshard.verbs.shard import Shard

_log = logging.getLogger(__name__)

NAMESPACES = "namespaces"
FINALIZER = "kubernetes"
_IDENTITY = Identity("system:serviceaccount:kube-system:namespace-controller", "", ("system:masters",)).encode()
_RETRY_S = 5.0  # after a refusal: a full disk, a logical cluster that is moving
_SCANNED = 256

Place = tuple[int, str]  # id of the logical cluster, namespace


class NamespaceDeletion:
    """One worker for all logical clusters of the shard. `run` goes on until cancelled."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        # Terminating namespaces known to exist; bounded by how many there are.
        self._going: set[Place] = set()
        self._queue: dict[Place, None] = {}  # in order of arrival, each once
        self._wake = asyncio.Event()
        shard.store.on_commit(self._see)

    @property
    def waiting(self) -> int:
        """Namespaces that are Terminating as far as is known: for tests and statistics."""
        return len(self._going)

    def _see(self, commits: Sequence[Commit]) -> None:
        going = self._going
        for commit in commits:
            for change in commit.changes:
                if change.group_resource == NAMESPACES:
                    self._see_namespace((commit.cluster_id, change.name), change.type, change.value)
                elif going and change.type is not EventType.ADDED:
                    place = (commit.cluster_id, change.namespace)
                    if place in going:
                        self._add(place)

    def _see_namespace(self, place: Place, type_: EventType, value: bytes) -> None:
        if type_ is EventType.DELETED:
            self._going.discard(place)
        elif place not in self._going and envelope.fields(value).get("status.phase") == "Terminating":
            self._going.add(place)
            self._add(place)

    def _add(self, place: Place) -> None:
        self._queue[place] = None
        self._wake.set()

    async def run(self) -> None:
        await self._look_through()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                place = next(iter(self._queue))
                del self._queue[place]
                await self._handle(place)

    async def _look_through(self) -> None:
        """All namespaces there are, once: what was Terminating when the process ended."""
        for cluster_id in self._shard.store.clusters_with(NAMESPACES):
            cluster = self._shard.store.cluster_by_id(cluster_id)
            if cluster is not None:
                self._look_at(cluster)
            await asyncio.sleep(0)

    def _look_at(self, cluster: LogicalCluster) -> None:
        store, after = self._shard.store, None
        while True:
            items = store.scan(cluster, NAMESPACES, "", store.durable_revision, after, _SCANNED)
            for item in items:
                self._see_namespace((cluster.id, item.name), EventType.MODIFIED, item.value)
            if len(items) < _SCANNED:
                return
            after = (items[-1].namespace, items[-1].name)

    async def _handle(self, place: Place) -> None:
        cluster = self._shard.store.cluster_by_id(place[0])
        if cluster is None:
            self._going.discard(place)
            return
        try:
            if await self._empty(cluster, place[1]):
                await self._let_go(cluster, place[1])
        except NotOwned:
            self._going.discard(place)  # it has moved: its new shard looks through it
        except (ApiError, ReadOnly) as refusal:
            _log.info("namespace %s of %s stays for now: %s", place[1], cluster.path, refusal)
            self._try_later(place)
        except Exception:  # noqa: BLE001 - see below, and it is logged whole
            # A bug met in one tenant's namespace must not end the deletion of everybody else's.
            _log.exception("namespace %s of %s", place[1], cluster.path)
            self._try_later(place)

    def _try_later(self, place: Place) -> None:
        asyncio.get_running_loop().call_later(_RETRY_S, self._add, place)

    async def _empty(self, cluster: LogicalCluster, namespace: str) -> bool:
        """Delete what is in it; whether nothing is left."""
        is_empty = True
        for resource in self._kinds(cluster):
            request = self._request(cluster, resource, pb.DELETE_COLLECTION)
            request.namespace = namespace
            if self._holds(cluster, resource, namespace):
                await self._ask(request)
                is_empty = is_empty and not self._holds(cluster, resource, namespace)
        return is_empty

    def _kinds(self, cluster: LogicalCluster) -> list[Resource]:
        """Each namespaced type that is stored, once, in its storage version."""
        found = self._shard.catalog.resources(cluster)
        return [r for r in found if r.namespaced and not r.virtual and r.storage_resource is None]

    def _holds(self, cluster: LogicalCluster, resource: Resource, namespace: str) -> bool:
        store = self._shard.store
        if not store.count(cluster, resource.group_resource):
            return False
        revision = store.durable_revision
        return bool(store.scan(cluster, resource.group_resource, namespace, revision, None, 1, resource.retention))

    async def _let_go(self, cluster: LogicalCluster, namespace: str) -> None:
        """Remove our finalizer. Anything written meanwhile makes this a conflict, and we look again."""
        value = self._shard.store.pending(cluster, NAMESPACES, "", namespace)
        if value is None:
            return
        document = orjson.loads(envelope.body(value))
        finalizers = (document.get("spec") or {}).get("finalizers") or []
        if FINALIZER not in finalizers:
            return
        document["spec"]["finalizers"] = [f for f in finalizers if f != FINALIZER]
        request = pb.Request(verb=pb.UPDATE, version="v1", resource=NAMESPACES, name=namespace, subresource="finalize")
        request.cluster, request.identity, request.body = cluster.path, _IDENTITY, orjson.dumps(document)
        await self._ask(request)

    def _request(self, cluster: LogicalCluster, resource: Resource, verb: pb.Verb.ValueType) -> pb.Request:
        return pb.Request(
            verb=verb,
            cluster=cluster.path,
            group=resource.group,
            version=resource.version,
            resource=resource.plural,
            identity=_IDENTITY,
        )

    async def _ask(self, request: pb.Request) -> None:
        """Do it and wait until it is durable."""
        try:
            outcome = dispatch(self._shard, request)
        except NotDurable as pending:
            await _durable(pending.group)
            return await self._ask(request)
        if not isinstance(outcome, Answer | AfterSync):
            assert asyncio.iscoroutine(outcome)
            outcome = await outcome
        if isinstance(outcome, AfterSync):
            await _durable(outcome.group)


async def _durable(group: Group) -> None:
    done = asyncio.Event()
    group.when_durable(done.set)
    await done.wait()

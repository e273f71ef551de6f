"""Establishes CustomResourceDefinitions, and lets those go that are deleted, with all their objects.

Driven by commits: a definition that is written, or goes, makes the names of its group be looked at again; one that
terminates has its objects deleted, in turns that hold the loop for about two milliseconds, and loses its finalizer when
none is left. While finalizers hold objects, each of their deletions makes it look again. At start the definitions of
all logical clusters are looked through once.

Decides and commits in one loop turn, without going through the verbs: what it writes are conditions, accepted names and
the finalizer, and reading a large definition field by field once more would hold the loop.
"""

import asyncio
import logging
import pickle
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from kcpshard.api import loop_time
from kcpshard.api.errors import ApiError
from kcpshard.api.events import Commit, EventType
from kcpshard.api.objects import timestamp
from kcpshard.api.requests import Identity
from kcpshard.controllers.definition_statuses import JOB, Asked, Settled
from kcpshard.controllers.object_removal import remove_all
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.contract import Object
from kcpshard.definitions.crd_documents import CRDS, GROUP, Names, summary
from kcpshard.definitions.crd_naming import Claims, Taken, decided, terminating
from kcpshard.definitions.custom_catalog import Index, summary_of
from kcpshard.definitions.custom_resources import Definition
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, Put, ReadOnly, Remove, ScanItem
from kcpshard.storage.durability import durable
from kcpshard.verbs.finalization import CLEANUP, is_finished
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.writes import put_of, remove_of

_log = logging.getLogger(__name__)

_IDENTITY = Identity("system:apiserver", "", ("system:masters",)).encode()
_RETRY_S = 5.0  # after a refusal: a full disk, a logical cluster that is moving
_SCANNED = 256

Key = tuple[int, str]  # id of the logical cluster, name of the definition
# (path of the logical cluster, function, payload) → what it makes of it; WorkerPool.run is one.
Run = Callable[[str, str, bytes], Awaitable[bytes]]


class _Queue:
    """Keys to look at, in order of arrival, each once; one worker takes them."""

    def __init__(self, handle: Callable[[LogicalCluster, str], Awaitable[None]], shard: Shard) -> None:
        self._handle, self._shard = handle, shard
        self._keys: dict[Key, None] = {}
        self._wake = asyncio.Event()

    def add(self, key: Key) -> None:
        self._keys[key] = None
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._keys:
                key = next(iter(self._keys))
                del self._keys[key]
                await self._try(key)

    async def _try(self, key: Key) -> None:
        cluster = self._shard.store.cluster_by_id(key[0])
        if cluster is None:
            return
        try:
            self._shard.ownership.check(cluster.path)
            await self._handle(cluster, key[1])
        except NotOwned:
            pass  # it has moved: its new shard looks through it
        except (ApiError, ReadOnly) as refusal:
            _log.info("definition %s of %s stays as it is for now: %s", key[1], cluster.path, refusal)
            self._try_later(key)
        except Exception:  # noqa: BLE001 - see below, and it is logged whole
            # A bug met in one tenant's definition must not end the work for everybody else's.
            _log.exception("definition %s of %s", key[1], cluster.path)
            self._try_later(key)

    def _try_later(self, key: Key) -> None:
        asyncio.get_running_loop().call_later(_RETRY_S, self.add, key)


class CustomDefinitions:
    """For all logical clusters of the shard: one worker for names, one for deletions. `run` goes on until cancelled."""

    def __init__(self, shard: Shard, catalog: Catalog) -> None:
        found = catalog.find(None, GROUP, "v1", "customresourcedefinitions")
        assert catalog.custom is not None and found is not None
        self._shard, self._custom, self._stored = shard, catalog.custom, found
        self._builtin: dict[str, list[Names]] = {}
        for r in catalog.resources(None):
            names = Names(r.plural, r.singular, r.kind, r.list_kind, r.short_names, ())
            self._builtin.setdefault(r.group, []).append(names)
        # Types whose objects' going is waited for: (cluster, group resource) → definition. Bounded by what terminates.
        self._going: dict[tuple[int, str], str] = {}
        # What `_settle` has written and not seen yet, by its revision: looking at it once more would change nothing.
        self._own: set[int] = set()
        self.run_job: Run | None = None  # None: there are no workers, and large definitions are settled here
        self._names = _Queue(self._settle, shard)
        self._large = _Queue(self._settle_large, shard)  # nobody's names wait for a worker of somebody else's
        self._deletions = _Queue(self._terminate, shard)
        shard.store.on_commit(self._see)

    def _see(self, commits: Sequence[Commit]) -> None:
        going = self._going
        for commit in commits:
            for change in commit.changes:
                if change.group_resource == CRDS:
                    if commit.revision in self._own:
                        self._own.discard(commit.revision)
                    else:
                        self._names.add((commit.cluster_id, change.name))
                elif going and change.type is EventType.DELETED:
                    name = going.get((commit.cluster_id, change.group_resource))
                    if name is not None:
                        self._deletions.add((commit.cluster_id, name))

    async def run(self) -> None:
        await self._look_through()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._names.run())
            tasks.create_task(self._large.run())
            tasks.create_task(self._deletions.run())

    async def _look_through(self) -> None:
        """Definitions that were not settled when the process ended."""
        for cluster_id in self._shard.store.clusters_with(CRDS):
            cluster = self._shard.store.cluster_by_id(cluster_id)
            if cluster is not None:
                await self.look_through(cluster)
            await asyncio.sleep(0)

    async def look_through(self, cluster: LogicalCluster) -> None:
        """All of a logical cluster, at the start or when it has come from another shard."""
        for item in self._all(cluster):
            found = summary_of(item.value)
            if found.terminating or not (found.established and found.accepted):
                self._names.add((cluster.id, item.name))

    def _all(self, cluster: LogicalCluster) -> list[ScanItem]:
        store, found = self._shard.store, list[ScanItem]()
        after: tuple[str, str] | None = None
        while True:
            items = store.scan(cluster, CRDS, "", store.durable_revision, after, _SCANNED)
            found += items
            if len(items) < _SCANNED:
                return found
            after = (items[-1].namespace, items[-1].name)

    # --- names

    async def _settle(self, cluster: LogicalCluster, name: str) -> None:
        index = self._custom.index(cluster)
        value = self._shard.store.pending(cluster, CRDS, "", name)
        if value is not None and self.run_job is not None and len(value) > loop_time.LARGE_BYTES:
            self._large.add((cluster.id, name))
            return
        obj = None if value is None else orjson.loads(envelope.body(value))
        if obj is None:
            for key in [k for k, v in self._going.items() if v == name and k[0] == cluster.id]:
                del self._going[key]
            self._queue_conflicting(cluster, index)
        elif obj["metadata"].get("deletionTimestamp"):
            self._deletions.add((cluster.id, name))
        else:
            status = self._decide(index, obj)
            if status != obj.get("status"):
                await self._commit(cluster, {**obj, "status": status}, is_settled=True)

    async def _settle_large(self, cluster: LogicalCluster, name: str) -> None:
        """As `_settle`, with the work done beside the loop. What has changed meanwhile is looked at anew."""
        store, run = self._shard.store, self.run_job
        value, index = store.pending(cluster, CRDS, "", name), self._custom.index(cluster)
        if value is None or run is None:
            self._names.add((cluster.id, name))
            return
        group, own = summary_of(value).group, index.definitions.get(name)
        claims = index.claims.get(group)
        names, now = own.summary.names if own else None, timestamp(self._shard.now_us())
        counted = _counts(claims)
        payload = pickle.dumps(Asked(value, self._builtin.get(group, ()), claims, names, now), 5)
        answer = await run(cluster.path, JOB, payload)
        found: Settled = pickle.loads(answer)  # noqa: S301 - made by our own process
        if found.is_deleting:
            self._deletions.add((cluster.id, name))
        elif found.put is not None:
            now_there = store.pending(cluster, CRDS, "", name)
            if now_there == value and _counts(self._custom.index(cluster).claims.get(group)) == counted:
                await self._write(cluster, found.put, is_settled=True)
            else:
                self._names.add((cluster.id, name))

    def _decide(self, index: Index, obj: Object) -> Object:
        group, name = obj["spec"]["group"], obj["metadata"]["name"]
        own = index.definitions.get(name)
        taken = Taken(self._builtin.get(group, ()), index.claims.get(group), own.summary.names if own else None)
        return decided(obj, taken, timestamp(self._shard.now_us()))

    def _queue_conflicting(self, cluster: LogicalCluster, index: Index) -> None:
        """Names have become free: whoever waits for one is looked at again."""
        for name, definition in index.definitions.items():
            if not definition.summary.accepted:
                self._names.add((cluster.id, name))

    # --- deletion

    async def _terminate(self, cluster: LogicalCluster, name: str) -> None:
        obj, definition = self._pending(cluster, name), self._custom.index(cluster).definitions.get(name)
        if obj is None or CLEANUP not in obj["metadata"].get("finalizers", ()):
            return
        if definition is None or definition.digest != summary(obj).digest:
            return  # the commit of this state is on its way to us: from it on nothing is created
        if definition.summary.established:
            self._going[cluster.id, definition.storage.group_resource] = name
            text, now = "CustomResource deletion is in progress", timestamp(self._shard.now_us())
            status = terminating(obj, "True", "InstanceDeletionInProgress", text, now)
            if status != obj["status"]:
                await self._commit(cluster, {**obj, "status": status})
            if not await self._delete_objects(cluster, definition):
                return
        self._going.pop((cluster.id, definition.storage.group_resource), None)
        await self._let_go(cluster, name)

    async def _delete_objects(self, cluster: LogicalCluster, definition: Definition) -> bool:
        """Whether none is left. Those that finalizers hold are marked, and stay."""
        self._custom.load(cluster, definition)
        return await remove_all(self._shard, cluster, definition.storage)

    async def _let_go(self, cluster: LogicalCluster, name: str) -> None:
        obj = self._pending(cluster, name)
        if obj is not None:
            finalizers = [f for f in obj["metadata"].get("finalizers", ()) if f != CLEANUP]
            meta = {k: v for k, v in obj["metadata"].items() if k != "finalizers"}
            await self._commit(cluster, {**obj, "metadata": meta | ({"finalizers": finalizers} if finalizers else {})})

    # --- reading and writing definitions

    def _pending(self, cluster: LogicalCluster, name: str) -> Object | None:
        value = self._shard.store.pending(cluster, CRDS, "", name)
        return None if value is None else orjson.loads(envelope.body(value))

    async def _commit(self, cluster: LogicalCluster, obj: dict[str, Any], is_settled: bool = False) -> None:
        """In the turn in which the object was read. Returns when it is durable."""
        store, name = self._shard.store, obj["metadata"]["name"]
        write: Put | Remove = put_of(self._stored, obj, "")
        if is_finished(CRDS, obj):
            value = store.pending(cluster, CRDS, "", name)
            assert value is not None
            write = remove_of(self._stored, "", name, value)
        await self._write(cluster, write, is_settled)

    async def _write(self, cluster: LogicalCluster, write: Put | Remove, is_settled: bool) -> None:
        pending = self._shard.store.commit(cluster, (write,))
        if is_settled:
            self._own.add(pending.revision)
        try:
            await durable(pending.group)
        finally:
            self._own.discard(pending.revision)


def _counts(claims: Claims | None) -> tuple[dict[str, int], dict[str, int]] | None:
    """What others are called, as it is now."""
    return None if claims is None else (dict(claims.resources), dict(claims.kinds))

"""Which APIBindings of this shard bind which APIExport, so that a change of an export reaches them.

An export may lie on any shard: it is looked at every LOOK_S, here at once when something of ours has changed. Who binds
what is known from the bindings that were seen since the process began, and from a look through all at its beginning.
"""

import asyncio
from collections.abc import Callable

import orjson

from kcpshard.api.errors import ApiError
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.tenancy.exports import APIS, BINDINGS, EXPORTS, VERSION, ExportReference, reference_of
from kcpshard.verbs.shard import Shard

LOOK_S = 5.0
_ASK_S = 5.0
_SCANNED = 256

Enqueue = Callable[[int, str], None]  # id of the logical cluster, name of the binding


class ExportFollowers:
    def __init__(self, shard: Shard, enqueue: Enqueue) -> None:
        self._shard, self._store, self._enqueue = shard, shard.store, enqueue
        self._followers: dict[ExportReference, dict[tuple[int, str], None]] = {}
        self._seen: dict[ExportReference, str] = {}  # resourceVersion; "": there is none
        self._wake = asyncio.Event()

    def follow(self, export: ExportReference, cluster_id: int, binding: str) -> None:
        self._followers.setdefault(export, {})[cluster_id, binding] = None

    def leave(self, cluster_id: int, binding: str) -> None:
        for export, followers in list(self._followers.items()):
            if followers.pop((cluster_id, binding), 0) is None and not followers:
                del self._followers[export]
                self._seen.pop(export, None)

    def saw(self, export: ExportReference, version: str) -> None:
        """What a binding was settled by."""
        self._seen.setdefault(export, version)

    def wake(self) -> None:
        """Something about an export of this shard has changed."""
        self._wake.set()

    async def run(self) -> None:
        await self._look_through()
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            is_local = self._wake.is_set()
            self._wake.clear()
            await self.look(is_local)

    async def look(self, only_ours: bool = False) -> None:
        for export in list(self._followers):
            if only_ours and not self._shard.is_ours(export.path):
                continue
            try:
                version = await self._version(export)
            except ApiError:
                continue  # its shard is away: what is bound stays as it is
            known = self._seen.get(export)
            self._seen[export] = version
            if version != known:
                for cluster_id, binding in self._followers.get(export, {}):
                    self._enqueue(cluster_id, binding)

    async def _version(self, export: ExportReference) -> str:
        if self._shard.is_ours(export.path):
            cluster = self._store.pending_cluster(export.path)
            value = None if cluster is None else self._store.pending(cluster, EXPORTS, "", export.name)
            return "" if value is None else str(envelope.revision(value))
        found = await self._shard.ask_for(pb.GET, export.path, (APIS, VERSION, "apiexports"), export.name, None, _ASK_S)
        if found.code != 200:
            return ""
        return str(orjson.loads(found.body)["metadata"]["resourceVersion"])

    async def _look_through(self) -> None:
        for cluster_id in self._store.clusters_with(BINDINGS):
            cluster = self._store.cluster_by_id(cluster_id)
            if cluster is not None:
                self._follow_all(cluster)
            await asyncio.sleep(0)

    def _follow_all(self, cluster: LogicalCluster) -> None:
        after: tuple[str, str] | None = None
        while True:
            items = self._store.scan(cluster, BINDINGS, "", self._store.durable_revision, after, _SCANNED)
            for item in items:
                reference = reference_of(orjson.loads(envelope.body(item.value)), cluster.path)
                self.follow(reference, cluster.id, item.name)
            if len(items) < _SCANNED:
                return
            after = (items[-1].namespace, items[-1].name)

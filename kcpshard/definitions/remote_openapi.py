"""What other servers say in OpenAPI v2, fetched and merged into a logical cluster's own document: the I/O of
`openapi_merging`. Servers are asked again when a minute has passed, as kube-apiserver's aggregator does.
"""

import asyncio
import hashlib
import time
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.errors import CalloutError
from kcpshard.definitions.contract import Document
from kcpshard.definitions.openapi import V2
from kcpshard.definitions.openapi_merging import Part, encode_job, merge_job
from kcpshard.definitions.remote_apis import OWN_HEADERS, RemoteApi
from kcpshard.storage.contract import LogicalCluster

KEPT_S = 60.0
_FETCH_S = 10.0
_KEPT_BYTES = 16 << 20  # compressed; those used longest ago go
_JOB = "kcpshard.definitions.openapi_merging:merge_job"

# (path of the logical cluster, function, payload) → what it makes of it; WorkerPool.run is one.
Run = Callable[[str, str, bytes], Awaitable[bytes]]


async def on_a_thread(_path: str, _function: str, payload: bytes) -> bytes:
    """Where there are no worker processes."""
    return await asyncio.to_thread(merge_job, payload)


class _Kept(NamedTuple):
    until: float
    local: str  # entity tag of our own part
    servers: tuple[str, ...]
    tag: str
    packed: bytes


class RemoteOpenApi:
    """One per shard."""

    def __init__(self, callouts: Callouts, clock: Callable[[], float] = time.monotonic) -> None:
        self._callouts, self._clock = callouts, clock
        self.run: Run = on_a_thread
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._bytes = 0

    async def document(self, cluster: LogicalCluster, apis: Sequence[RemoteApi], local: Document) -> Document:
        """`local` with what those servers say that can be reached."""
        asked = sorted((api for api in apis if api.is_available), key=lambda api: (-api.group_priority, api.name))
        servers = tuple(api.name for api in asked)
        kept = self._kept.get(cluster.id)
        if kept is None or kept.until <= self._clock() or (kept.local, kept.servers) != (local.etag, servers):
            kept = await self._merged(cluster, asked, local, servers)
            self._keep(cluster.id, kept)
        else:
            self._kept.move_to_end(cluster.id)
        return Document(200, await asyncio.to_thread(zlib.decompress, kept.packed), kept.tag)

    async def _merged(
        self, cluster: LogicalCluster, apis: Sequence[RemoteApi], local: Document, servers: tuple[str, ...]
    ) -> _Kept:
        async with asyncio.TaskGroup() as tasks:
            fetching = [tasks.create_task(self._fetched(cluster, api)) for api in apis]
        parts = [part for task in fetching if (part := task.result()) is not None]
        payload = encode_job(local.body, parts)
        packed = await self.run(cluster.path, _JOB, payload)
        digest = hashlib.sha512(local.etag.encode())
        for part in parts:
            digest.update(part.prefix.encode() + hashlib.sha512(part.document).digest())
        return _Kept(self._clock() + KEPT_S, local.etag, servers, f'"{digest.hexdigest().upper()}"', packed)

    async def _fetched(self, cluster: LogicalCluster, api: RemoteApi) -> Part | None:
        """None for a server that has none or does not answer."""
        try:
            answer = await self._callouts.call(cluster.id, api.at(V2), "GET", b"", _FETCH_S, "", OWN_HEADERS)
        except CalloutError:
            return None
        return Part(f"{api.path}/", answer.body) if answer.code == 200 else None

    def _keep(self, cluster_id: int, kept: _Kept) -> None:
        old = self._kept.pop(cluster_id, None)
        self._bytes += len(kept.packed) - (len(old.packed) if old is not None else 0)
        self._kept[cluster_id] = kept
        while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= len(self._kept.popitem(last=False)[1].packed)

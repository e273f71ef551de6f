"""Builds the OpenAPI documents of logical clusters with definitions of their own, in a worker process: the I/O of
`custom_openapi`.

Documents are kept compressed, by hash: logical clusters that define the same share them.
"""

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import orjson

from kcpshard.definitions.custom_openapi import build

_KEPT_BYTES = 32 << 20  # compressed documents; the least recently used go
_INLINE_BYTES = 64_000  # compressed; a larger document is unpacked on a thread (zlib releases the GIL)
_JOB = "kcpshard.definitions.custom_openapi_worker:build_job"

# (path of the logical cluster, function, payload) → what it makes of it; WorkerPool.run is one.
Run = Callable[[str, str, bytes], Awaitable[bytes]]


async def on_a_thread(_path: str, _function: str, payload: bytes) -> bytes:
    """Where there are no worker processes."""
    return await asyncio.to_thread(build_job, payload)


def build_job(payload: bytes, _ask: object = None) -> bytes:
    """A line "<set> <path>", then a JSON list of definitions → zlib data."""
    head, _, definitions = payload.partition(b"\n")
    api_set, path = head.decode().split()
    return zlib.compress(build(api_set, path, orjson.loads(definitions)), 6)


class CustomOpenApi:
    """One shard's documents. Nothing is kept of a failed attempt."""

    def __init__(self, api_set: str) -> None:
        self._api_set = api_set
        self.run: Run = on_a_thread
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    async def get(
        self, key: str, path: str, hash_: str, definitions: Callable[[bytes], Awaitable[bytes]], api_set: str = ""
    ) -> bytes:
        """The document, built on the account of the logical cluster `key`; `definitions` gives the JSON list of what it
        describes, behind what it is given; `api_set`: another than the usual one. Raises ServiceUnavailable."""
        packed = self._kept.get(hash_)
        if packed is None:
            async with self._turn:
                packed = self._kept.get(hash_)
                if packed is None:
                    head = f"{api_set or self._api_set} {path}\n".encode()
                    packed = await self.run(key, _JOB, await definitions(head))
                    self._keep(hash_, packed)
        else:
            self._kept.move_to_end(hash_)
        if len(packed) <= _INLINE_BYTES:
            return zlib.decompress(packed)
        return await asyncio.to_thread(zlib.decompress, packed)

    def _keep(self, hash_: str, packed: bytes) -> None:
        self._kept[hash_] = packed
        self._bytes += len(packed)
        while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= len(gone)

"""Builds the OpenAPI documents of logical clusters with definitions of their own, in a process that lives while it is
needed: the I/O of `custom_openapi`.

Documents are kept compressed, by hash: logical clusters that define the same share them. As a program: reads jobs from
standard input (a line "<set> <path> <length>", then that many bytes, a JSON list of definitions) and answers each with
a line "<length>" and that many bytes of zlib data.
"""

import asyncio
import os
import sys
import zlib
from asyncio.subprocess import Process
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import orjson

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.definitions.custom_openapi import build
from kcpshard.workers import slices
from kcpshard.workers.process import die_with_parent

_BUILD_DEADLINE_S = 60.0
_IDLE_S = 30.0  # then the process ends: it has about 60 MB
_KEPT_BYTES = 32 << 20  # compressed documents; the least recently used go
_INLINE_BYTES = 64_000  # compressed; a larger document is unpacked on a thread (zlib releases the GIL)


class CustomOpenApi:
    """One shard's documents. Nothing is kept of a failed attempt."""

    def __init__(self, api_set: str) -> None:
        self._api_set = api_set
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._process: Process | None = None
        self._end: asyncio.TimerHandle | None = None

    async def get(self, path: str, hash_: str, definitions: Callable[[], Awaitable[bytes]], api_set: str = "") -> bytes:
        """The document; `definitions` gives the JSON list of what it describes; `api_set`: another than the usual one.
        Raises ServiceUnavailable."""
        packed = self._kept.get(hash_)
        if packed is None:
            async with self._turn:
                packed = self._kept.get(hash_)
                if packed is None:
                    packed = await self._build(path, await definitions(), api_set or self._api_set)
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

    async def _build(self, path: str, definitions: bytes, api_set: str) -> bytes:
        if self._end is not None:
            self._end.cancel()
        try:
            async with asyncio.timeout(_BUILD_DEADLINE_S):
                packed = await self._ask_twice(path, definitions, api_set)
        except (TimeoutError, OSError, EOFError, ValueError, asyncio.CancelledError) as fault:
            self._stop()
            if isinstance(fault, asyncio.CancelledError):
                raise
            raise ServiceUnavailable("the OpenAPI document is not ready yet", retry_after_s=5) from None
        self._end = asyncio.get_running_loop().call_later(_IDLE_S, self._stop)
        return packed

    async def _ask_twice(self, path: str, definitions: bytes, api_set: str) -> bytes:
        """A process that was kept may have died since it was asked last: then another one."""
        was_kept = self._process is not None
        try:
            return await self._ask(path, definitions, api_set)
        except (OSError, EOFError, ValueError):
            if not was_kept:
                raise
            self._stop()
            return await self._ask(path, definitions, api_set)

    async def _ask(self, path: str, definitions: bytes, api_set: str) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            command = (sys.executable, "-m", "kcpshard.definitions.custom_openapi_worker")
            pipe = asyncio.subprocess.PIPE
            process = self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(f"{api_set} {path} {len(definitions)}\n".encode())
        except RuntimeError as closed:  # uvloop's word for a pipe that nobody reads any more
            raise BrokenPipeError(str(closed)) from None
        await slices.write(process.stdin, definitions)
        length = int(await process.stdout.readline())
        return await slices.read(process.stdout, length)

    async def close(self) -> None:
        """End the process and wait for it."""
        if self._end is not None:
            self._end.cancel()
        process = self._process
        self._stop()
        if process is not None:
            await process.wait()

    def _stop(self) -> None:
        """It reads until its input ends."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            if process.returncode is None:
                process.kill()


def main() -> None:
    die_with_parent()
    os.nice(5)  # nobody's get should wait for a document
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while line := source.readline():
        api_set, path, length = line.decode().split()
        packed = zlib.compress(build(api_set, path, orjson.loads(source.read(int(length)))), 6)
        target.write(f"{len(packed)}\n".encode() + packed)
        target.flush()


if __name__ == "__main__":
    main()

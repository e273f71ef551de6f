"""Builds the OpenAPI documents of an API set in a process of its own and keeps them compressed: the I/O of `openapi`.

As a program: `python -m kcpshard.definitions.openapi_worker SET` writes, for each document, a line "<path> <length>"
and that many bytes of zlib data.
"""

import asyncio
import os
import sys
import zlib
from collections.abc import Mapping

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.definitions import custom_openapi
from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.openapi import build, document_paths
from kcpshard.definitions.provided import document_digests
from kcpshard.workers.process import die_with_parent

_BUILD_DEADLINE_S = 60.0
_INLINE_BYTES = 64_000  # compressed; a larger document is unpacked on a thread (zlib releases the GIL)


class OpenApiDocuments:
    """All documents of one API set, built together at the first need. Nothing is kept of a failed attempt."""

    def __init__(self, api_set: str) -> None:
        self._api_set = api_set
        self._building = asyncio.Lock()
        self._documents: Mapping[str, bytes] = {}

    async def get(self, path: str) -> bytes:
        """`path` is one of the set's document paths. Raises ServiceUnavailable if they cannot be built now."""
        if not self._documents:
            async with self._building:
                if not self._documents:
                    self._documents = await _build_all(self._api_set)
        packed = self._documents[path]
        if len(packed) <= _INLINE_BYTES:
            return zlib.decompress(packed)
        return await asyncio.to_thread(zlib.decompress, packed)


async def _build_all(api_set: str) -> Mapping[str, bytes]:
    command = (sys.executable, "-m", "kcpshard.definitions.openapi_worker", api_set)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_BUILD_DEADLINE_S):
            output, _ = await process.communicate()
    except TimeoutError:
        raise ServiceUnavailable("the OpenAPI documents are not ready yet", retry_after_s=5) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise ServiceUnavailable("the OpenAPI documents could not be built", retry_after_s=5)
    return _unpacked(output)


def _unpacked(output: bytes) -> dict[str, bytes]:
    found, at = {}, 0
    while at < len(output):
        end = output.index(b"\n", at)
        path, length = output[at:end].decode().rsplit(" ", 1)
        at = end + 1 + int(length)
        found[path] = output[end + 1 : at]
    return found


def main(api_set: str) -> None:
    die_with_parent()
    os.nice(5)  # nobody's get should wait for a document
    resources = builtin_resources(api_set)
    provided = document_digests()
    for path in {path: None for path in (*document_paths(resources), *provided)}:
        document = custom_openapi.build(api_set, path, ()) if path in provided else build(resources, path)
        packed = zlib.compress(document, 6)
        sys.stdout.buffer.write(f"{path} {len(packed)}\n".encode() + packed)


if __name__ == "__main__":
    main(sys.argv[1])

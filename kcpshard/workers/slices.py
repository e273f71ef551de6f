"""Large messages over a pipe, piece by piece: written at once, megabytes are copied in one turn of the loop."""

import asyncio

SLICE_BYTES = 128 * 1024


async def write(stream: asyncio.StreamWriter, data: bytes) -> None:
    """Returns when the other end has taken most of it."""
    if len(data) <= SLICE_BYTES:
        stream.write(data)
    else:
        view = memoryview(data)
        for start in range(0, len(data), SLICE_BYTES):
            stream.write(view[start : start + SLICE_BYTES])
            await stream.drain()
            await asyncio.sleep(0)  # drain does not wait while there is room
    await stream.drain()


async def read(stream: asyncio.StreamReader, length: int) -> bytes:
    """Exactly so many bytes. Raises IncompleteReadError."""
    if length <= SLICE_BYTES:
        return await stream.readexactly(length)
    pieces: list[bytes] = []
    left = length
    while left:
        pieces.append(await stream.readexactly(min(left, SLICE_BYTES)))
        left -= len(pieces[-1])
        await asyncio.sleep(0)
    return b"".join(pieces)

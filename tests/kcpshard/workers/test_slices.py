import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from kcpshard.workers import slices
from kcpshard.workers.slices import SLICE_BYTES

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ours, theirs = socket.socketpair()
    reader, other = await asyncio.open_connection(sock=theirs)
    _, writer = await asyncio.open_connection(sock=ours)
    yield reader, writer
    other.close()
    writer.close()
    for each in (other, writer):
        await each.wait_closed()


@pytest.mark.parametrize("size", [0, 10, SLICE_BYTES, SLICE_BYTES + 1, 20 * SLICE_BYTES + 7])
async def test_what_is_written_is_read(ends: Ends, size: int) -> None:
    reader, writer = ends
    data = bytes(n % 251 for n in range(size))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(slices.write(writer, data))
        found = tasks.create_task(slices.read(reader, size))
    assert found.result() == data


async def test_others_have_their_turn_meanwhile(ends: Ends) -> None:
    reader, writer = ends
    turns = 0
    async with asyncio.TaskGroup() as tasks:
        written = tasks.create_task(slices.write(writer, b"x" * (40 * SLICE_BYTES)))
        found = tasks.create_task(slices.read(reader, 40 * SLICE_BYTES))
        while not (written.done() and found.done()):
            turns += 1
            await asyncio.sleep(0)
    assert turns > 40


async def test_an_end_in_the_middle_is_told(ends: Ends) -> None:
    reader, writer = ends
    await slices.write(writer, b"x" * 10)
    writer.close()
    with pytest.raises(asyncio.IncompleteReadError):
        await slices.read(reader, SLICE_BYTES + 1)

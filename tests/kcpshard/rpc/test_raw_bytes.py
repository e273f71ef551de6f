"""Over a pair of sockets; how it serves either side is in kcpfront/test_upgraded and callouts/test_upgraded."""

import asyncio
import socket

import pytest

from kcpshard.rpc.raw_bytes import RawBytes


async def opened() -> tuple[RawBytes, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport, found = await asyncio.get_running_loop().create_connection(RawBytes, sock=ours)
    found.take(transport)
    return found, theirs


async def test_what_came_before_the_end_is_read() -> None:
    found, theirs = await opened()
    theirs.send(b"last words")
    theirs.close()
    assert await found.read() == b"last words"
    assert [await found.read(), await found.read()] == [b"", b""]


async def test_reading_goes_on_when_what_waits_is_taken() -> None:
    found, theirs = await opened()
    sent = b"x" * (4 << 20)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.get_running_loop().sock_sendall(theirs, sent))
        size = 0
        while size < len(sent):
            size += len(await found.read())
            assert found._size < 2 << 20
    found.close()
    theirs.close()


async def test_a_write_after_the_end_says_who_is_gone() -> None:
    found, theirs = await opened()
    theirs.close()
    assert await found.read() == b""
    with pytest.raises(ConnectionError, match="the other side is gone"):
        await found.write(b"x")

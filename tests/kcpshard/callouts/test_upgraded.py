"""The server's side of an upgraded connection, over a pair of sockets."""

import asyncio
import socket

import pytest

from kcpshard.callouts.upgraded import UpgradedConnection


async def connection(early: bytes = b"") -> tuple[UpgradedConnection, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    return UpgradedConnection(transport, early), theirs


async def take(theirs: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += await asyncio.get_running_loop().sock_recv(theirs, size - len(found))
    return found


async def test_bytes_come_in_order_and_in_small_pieces() -> None:
    found, theirs = await connection(b"early")
    sent = bytes(range(256)) * 4096  # 1 MB, more than is read ahead
    async with asyncio.TaskGroup() as tasks:

        async def send() -> None:
            await asyncio.get_running_loop().sock_sendall(theirs, sent)
            theirs.close()

        tasks.create_task(send())
        pieces = [piece async for piece in found.pieces()]
    assert b"".join(pieces) == b"early" + sent
    assert max(map(len, pieces)) <= 65536


async def test_no_more_is_read_than_is_taken() -> None:
    found, theirs = await connection()
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await loop.sock_sendall(theirs, b"x" * (16 << 20))
    assert found._size < 2 << 20
    found.close()
    theirs.close()


async def test_writing_waits_for_room_and_ends_with_the_server() -> None:
    found, theirs = await connection()
    await found.write(b"abc")
    assert await take(theirs, 3) == b"abc"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            while True:
                await found.write(b"x" * 65536)
    theirs.close()
    with pytest.raises(ConnectionError):
        for _ in range(10):
            await found.write(b"y")
            await asyncio.sleep(0.01)
    assert [piece async for piece in found.pieces()] == []


async def test_what_was_written_before_a_close_arrives() -> None:
    found, theirs = await connection()
    await found.write(b"last words")
    found.close()
    assert await take(theirs, 10) == b"last words"
    theirs.close()

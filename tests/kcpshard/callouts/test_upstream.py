"""A client's bytes on their way to a server that is not reached yet."""

import asyncio

import pytest

from kcpshard.callouts.upstream import Upstream


class Far:
    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.is_closed = False

    async def write(self, data: bytes) -> None:
        if self.is_closed:
            raise ConnectionResetError
        self.got.append(data)

    def close(self) -> None:
        self.is_closed = True


async def test_a_writer_waits_for_the_server() -> None:
    upstream, far = Upstream(), Far()
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(upstream.write(b"a"))
        await asyncio.sleep(0)
        assert not writing.done()
        upstream.join(far)
    await upstream.write(b"b")
    assert far.got == [b"a", b"b"]


async def test_its_end_closes_the_server_then_or_later() -> None:
    upstream, far, late = Upstream(), Far(), Far()
    upstream.join(far)
    upstream.end()
    assert far.is_closed
    with pytest.raises(ConnectionError):
        await upstream.write(b"a")
    other = Upstream()
    other.end()
    other.join(late)
    assert late.is_closed


async def test_a_writer_that_is_cancelled_leaves_it_usable() -> None:
    upstream, far = Upstream(), Far()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await upstream.write(b"a")
    upstream.join(far)
    await upstream.write(b"b")
    assert far.got == [b"b"]

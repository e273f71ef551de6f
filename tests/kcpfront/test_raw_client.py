"""A client after HTTP: nothing is kept without bound, an end is noticed, silence has a limit."""

import asyncio

import pytest

from kcpfront.raw_client import MAX_WAITING_BYTES, RawClient
from kcpshard.api.errors import ServiceUnavailable


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_reading, self.is_aborted, self.is_closed = True, False, False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        self.is_closed = True


def begun(idle_s: float = float("inf")) -> tuple[RawClient, FakeTransport]:
    client, transport = RawClient(asyncio.get_running_loop(), idle_s), FakeTransport()
    client.begin(transport)
    return client, transport


async def test_what_nobody_takes_is_left_in_the_kernel() -> None:
    client, transport = begun()
    client.data_received(b"x" * (MAX_WAITING_BYTES + 1))
    assert not transport.is_reading
    assert len(await client.read()) == MAX_WAITING_BYTES + 1
    assert transport.is_reading


async def test_a_client_that_takes_nothing_holds_up_its_writer() -> None:
    client, transport = begun()
    client.pause_writing()
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(client.write(b"a"))
        await asyncio.sleep(0)
        assert (transport.written, writing.done()) == (b"a", False)
        client.resume_writing()
    client.connection_lost(None)
    with pytest.raises(ServiceUnavailable):
        await client.write(b"b")


async def test_an_end_comes_after_what_was_sent_before() -> None:
    client, transport = begun()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(client.read())
        await asyncio.sleep(0)
        client.data_received(b"a")
        client.eof_received()
    assert (reading.result(), await client.read()) == (b"a", b"")
    await client.close()
    assert transport.is_closed


async def test_silence_has_a_limit() -> None:
    _, transport = begun(idle_s=0.01)
    async with asyncio.timeout(20):
        while not transport.is_aborted:
            await asyncio.sleep(0.01)

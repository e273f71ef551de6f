"""What is the client's own; that watches survive everything is in tests/contracts/watcher.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import watch_client
from kcpshard.rpc.messages import PROTOCOL
from kcpshard.rpc.watch_client import StreamBroken, WatchClient, WatchStream
from tests.contracts.watch_tier import Reader, start


class ScriptedStream:
    """Reads what the test queues: a batch, or an error."""

    def __init__(self, protocol: int = PROTOCOL) -> None:
        self.incoming: asyncio.Queue[pb.WatchBatch | Exception] = asyncio.Queue()
        self.incoming.put_nowait(pb.WatchBatch(hello=pb.Hello(protocol=protocol)))
        self.written: list[pb.WatchControlBatch] = []

    async def read(self) -> pb.WatchBatch:
        found = await self.incoming.get()
        if isinstance(found, Exception):
            raise found
        return found

    async def write(self, batch: pb.WatchControlBatch) -> None:
        self.written.append(batch)


class ScriptedTransport:
    def __init__(self, protocol: int = PROTOCOL) -> None:
        self.protocol = protocol
        self.opened: list[str] = []
        self.live = self.caught = ScriptedStream(protocol)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[WatchStream]:
        self.opened.append("watch")
        self.live = ScriptedStream(self.protocol)
        yield self.live

    @asynccontextmanager
    async def catch_up(self) -> AsyncIterator[WatchStream]:
        self.opened.append("catch_up")
        self.caught = ScriptedStream(self.protocol)
        yield self.caught


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_client, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(watch_client, "LATER_S", 0.001)


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def until(transport: ScriptedTransport, opened: int) -> None:
    async with asyncio.timeout(60):
        while len(transport.opened) < opened:
            await asyncio.sleep(0.001)
    await turns()


async def test_without_watches_there_is_no_link_and_one_link_has_both_streams() -> None:
    transport = ScriptedTransport()
    client = WatchClient(transport, "front-1")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(client.run())
        await turns()
        assert transport.opened == []
        client.watch(start(), Reader())
        client.watch(start(), Reader())
        await turns(20)
        assert transport.opened == ["watch", "catch_up"]
        link = transport.live.written[0].hello.link
        assert link != 0
        assert transport.caught.written[0].hello.link == link
        assert [len(b.controls) for b in transport.caught.written] == [0, 2], "one message for what one turn asks"
        task.cancel()


@pytest.mark.parametrize("which", ["live", "caught"])
async def test_one_stream_that_breaks_takes_the_other_along(which: str) -> None:
    transport = ScriptedTransport()
    client = WatchClient(transport, "front-1")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(client.run())
        client.watch(start(revision=7), Reader())
        await until(transport, 2)
        first = transport.live.written[0].hello.link
        getattr(transport, which).incoming.put_nowait(StreamBroken("gone"))
        await until(transport, 4)
        assert transport.live.written[0].hello.link != first
        assert transport.caught.written[1].controls[0].start.revision == 7
        task.cancel()


async def test_a_watch_put_off_is_asked_for_again() -> None:
    transport = ScriptedTransport()
    client = WatchClient(transport, "front-1")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(client.run())
        watch = client.watch(start(revision=7), Reader())
        await until(transport, 2)
        transport.caught.incoming.put_nowait(pb.WatchBatch(ended=[pb.WatchEnded(watch=watch.id)]))
        async with asyncio.timeout(60):
            while len(transport.caught.written) < 3:
                await asyncio.sleep(0.001)
        assert transport.caught.written[2].controls[0].start.id == watch.id
        task.cancel()


async def test_a_shard_of_another_protocol_is_tried_again() -> None:
    transport = ScriptedTransport(protocol=9)
    client = WatchClient(transport, "front-1")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(client.run())
        client.watch(start(), Reader())
        await until(transport, 3)
        assert set(transport.opened) == {"watch"}
        assert client.links == 0
        transport.protocol = PROTOCOL + 1
        await until(transport, transport.opened.__len__() + 2)
        task.cancel()


async def test_cancelled_in_the_turn_of_a_break_it_ends() -> None:
    transport = ScriptedTransport()
    client = WatchClient(transport, "front-1")
    task = asyncio.get_running_loop().create_task(client.run())
    client.watch(start(), Reader())
    await until(transport, 2)
    transport.live.incoming.put_nowait(StreamBroken("gone"))
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await task

"""From a front's channel through the shard to an agent's, over real streams."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator

import grpc.aio
import orjson
import pytest

from kcpshard.api.errors import ApiError, ServiceUnavailable
from kcpshard.connection_service import ConnectionService
from kcpshard.connections.agent_tunnels import AgentTunnels, Pod, PodWay
from kcpshard.connections.offers import Offers
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.connection_stream import TUNNEL_METHOD, PieceStream, open_connection
from kcpshard.rpc.contract import Connection
from kcpshard.rpc.transport import CHANNEL_OPTIONS, listen

POD = Pod("uid", "east", "root:a", "inc", "default", "web", "exec")


class Installation:
    """A shard's part and an agent that does with each tunnel what `behave` says."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.offers, self.tunnels = Offers(), AgentTunnels()
        self.service = ConnectionService(self.offers, self.tunnels)
        self.channel = channel
        self.status, self.breaks = b"", False
        self.given = bytearray()

    async def connect(self) -> Connection:
        answer = self.offers.offer("root:a", PodWay(self.tunnels, POD, []))
        ticket = bytes.fromhex(orjson.loads(answer.body)["ticket"])
        return await open_connection(self.channel, ticket, b'{"method":"GET","headers":[]}', 20)

    async def agent(self, opening: pb.OpenTunnel) -> None:
        """Gives back what it gets, in capitals, until "end"."""
        call = self.channel.stream_stream(TUNNEL_METHOD)()
        stream = PieceStream(call, call.cancel)
        await stream.send(pb.ConnectPiece(ticket=opening.ticket))
        with contextlib.suppress(ApiError):
            await stream.receive()
            if self.status:
                await stream.send(pb.ConnectPiece(status=self.status))
                await call.done_writing()
                await stream.receive()
                return
            await stream.send(pb.ConnectPiece(head=b'{"code":101,"headers":[]}'))
            while not self.breaks and (data := await stream.read()):
                self.given += data
                if data == b"end":
                    break
                await stream.write(data.upper())
            if not self.breaks:
                await stream.finish()
            await call.done_writing()
            await stream.receive()
        call.cancel()


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        address = f"unix:{directory}/s"
        async with grpc.aio.insecure_channel(address, CHANNEL_OPTIONS) as channel, asyncio.TaskGroup() as tasks:
            made = Installation(channel)
            made.tunnels.send = lambda _uid, opening: bool(tasks.create_task(made.agent(opening)))
            server = grpc.aio.server()
            made.service.add_to(server)
            made.service.add_tunnels_to(server)
            listen(server, address)
            await server.start()
            yield made
            await server.stop(None)


async def test_bytes_go_both_ways_and_either_end_is_noticed(installation: Installation) -> None:
    connection = await installation.connect()
    assert orjson.loads(connection.head)["code"] == 101
    await connection.write(b"hello" * 50_000)
    found = b""
    while len(found) < 250_000:
        found += await connection.read()
    assert found == b"HELLO" * 50_000
    assert installation.offers.statistics()["open"] == 1
    await connection.write(b"end")
    assert await connection.read() == b""
    await connection.close()
    async with asyncio.timeout(20):
        while installation.offers.statistics()["open"]:
            await asyncio.sleep(0.01)


async def test_a_connection_that_was_cut_off_does_not_look_whole(installation: Installation) -> None:
    installation.breaks = True
    connection = await installation.connect()
    with pytest.raises(ApiError, match="was lost"):
        await connection.read()


async def test_what_the_agent_says_is_what_the_client_hears(installation: Installation) -> None:
    installation.status = ServiceUnavailable("the cluster east does not answer").body()
    with pytest.raises(ApiError, match="the cluster east does not answer") as told:
        await installation.connect()
    assert told.value.code == 503


async def test_a_ticket_that_nobody_gave(installation: Installation) -> None:
    with pytest.raises(ApiError, match="not taken in time"):
        await open_connection(installation.channel, b"x" * 16, b"{}", 20)
    call = installation.channel.stream_stream(TUNNEL_METHOD)()
    stream = PieceStream(call, call.cancel)
    await stream.send(pb.ConnectPiece(ticket=b"x" * 16))
    with pytest.raises(ApiError, match="nobody waits"):
        await stream.receive()


async def test_a_shard_that_stops_cuts_them(installation: Installation) -> None:
    connection = await installation.connect()
    installation.service.close()
    with pytest.raises(ApiError, match="the shard is stopping"):
        await connection.read()
    with pytest.raises(ApiError, match="the shard is stopping"):
        await installation.connect()


async def test_a_slow_reader_slows_its_writer(installation: Installation) -> None:
    connection = await installation.connect()
    sent = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2):
            while sent < 64 << 20:  # nothing is read here: what the agent gives back fills all windows
                await connection.write(b"x" * 65536)
                sent += 65536
    assert sent < 32 << 20
    await connection.close()

"""One stream to a shard in another process's place: it comes back, and requests never hang."""

import asyncio
import tempfile
from typing import Any

import grpc
import grpc.aio
import pytest

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.transport import dial, listen
from kcpsyncer.kube_client import Failure
from kcpsyncer.stream.shard_stream import WINDOW_BYTES, ShardStream

AGENT = pb.SyncAgent(cluster="root", name="east", uid="u")


class Shard(shard_pb2_grpc.ShardSyncServicer):
    """Answers requests unless told otherwise; `heard` is what agents have said."""

    def __init__(self) -> None:
        self.heard: list[pb.SyncUpBatch] = []
        self.hang_up = False
        self.streams = 0

    async def Sync(self, batches: Any, context: Any) -> Any:
        self.streams += 1
        async for batch in batches:
            self.heard.append(batch)
            if batch.HasField("hello"):
                yield pb.SyncDownBatch(hello=pb.Hello(protocol=1, shard=3))
                yield pb.SyncDownBatch(objects=[pb.SyncObject(name="web", object=b"x" * 1000)], revision=7)
            if batch.requests and self.hang_up:
                self.hang_up = False
                return
            if batch.requests:
                yield pb.SyncDownBatch(responses=[pb.Response(id=r.id, code=200) for r in batch.requests])


class Owner:
    def __init__(self) -> None:
        self.batches: list[pb.SyncDownBatch] = []

    def opened(self, stream: ShardStream) -> pb.SyncSubscribe:
        return pb.SyncSubscribe(number=1, revision=stream.revision)

    def received(self, _stream: ShardStream, batch: pb.SyncDownBatch) -> list[pb.SyncObject]:
        self.batches.append(batch)
        return [pb.SyncObject(name="missing")] if batch.objects else []


async def test_a_stream_that_breaks_comes_back_and_goes_on_from_where_it_was() -> None:
    shard, owner = Shard(), Owner()
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        address = f"unix:{directory}/s"
        server = grpc.aio.server()
        shard_pb2_grpc.add_ShardSyncServicer_to_server(shard, server)  # type: ignore[no-untyped-call]
        listen(server, address)
        await server.start()
        stream = ShardStream(lambda: dial(address, None), AGENT, "test", owner)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(stream.run())
            assert (await stream.ask(pb.Request(name="one"))).code == 200
            assert stream.number == 3 and shard.heard[0].agent.uid == "u"
            shard.hang_up = True
            with pytest.raises(Failure, match="lost"):
                await stream.ask(pb.Request(name="two"))
            assert (await stream.ask(pb.Request(name="three"))).code == 200
            assert shard.streams == 2 and stream.revision == 7
            subscribed = [each.subscribe.revision for each in shard.heard if each.HasField("subscribe")]
            assert subscribed == [0, 7]
            credit = [each.credit_bytes for each in shard.heard if each.credit_bytes]
            assert credit[0] >= WINDOW_BYTES and sum(credit) >= 2 * WINDOW_BYTES + 1200
            assert any(m.name == "missing" for each in shard.heard for m in each.missing)
            running.cancel()
        await server.stop(None)

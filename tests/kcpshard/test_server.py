"""A whole shard in this process, on the memory engine, asked through the front's channels."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import orjson
import pytest

from kcpfront.shard_channels import ShardChannels
from kcpshard.api.requests import Identity
from kcpshard.options import Options, parse
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.contract import Result
from kcpshard.rpc.placement_client import PlacementClient
from kcpshard.rpc.transport import dial
from kcpshard.server import ShardServer
from tests.contracts.caller import soon

ADMIN = Identity("admin", "", ("system:masters", "system:authenticated")).encode()


@pytest.fixture
def directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp") as found:
        yield found


def options(directory: str, *more: str) -> Options:
    sockets = [f"--{name}-socket={directory}/{name}.sock" for name in ("front", "admin", "sync")]
    return parse(["--number=1", "--engine=memory", *sockets, *more])


@asynccontextmanager
async def shard(directory: str, *more: str) -> AsyncIterator[ShardServer]:
    async with asyncio.TaskGroup() as tasks:
        server = ShardServer(options(directory, *more), tasks)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


@asynccontextmanager
async def channels(directory: str) -> AsyncIterator[ShardChannels]:
    async with asyncio.TaskGroup() as tasks:
        made = ShardChannels("front-1")
        made.update([pb.ShardEntry(number=1, address=f"unix:{directory}/front.sock")])
        running = tasks.create_task(made.run())
        try:
            yield made
        finally:
            running.cancel()


def config_map(name: str, verb: "pb.Verb.ValueType", body: bytes = b"") -> pb.Request:
    place = pb.Request(cluster="tenant", version="v1", resource="configmaps", namespace="default")
    place.MergeFrom(pb.Request(verb=verb, name=name, body=body, identity=ADMIN))
    return place


async def test_a_created_object_is_there(directory: str) -> None:
    async with shard(directory) as server, channels(directory) as made:
        caller = made.callers[1]
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
        created = await caller.call(config_map("", pb.CREATE, orjson.dumps(document)), soon())
        assert created.code == 201, created
        found = await caller.call(config_map("a", pb.GET), soon())
        assert (found.code, found.body) == (200, created.body)
        listing = await caller.list(config_map("", pb.LIST), soon())
        assert not isinstance(listing, Result)
        assert listing.info is not None
        assert listing.info.revision == server.store.durable_revision
        missing = await caller.call(config_map("b", pb.GET), soon())
        assert missing.code == 404


async def test_statistics_are_for_administrators_and_metrics_checkpoints_for_administrators(directory: str) -> None:
    async with shard(directory):
        client = PlacementClient(dial(f"unix:{directory}/admin.sock", None))
        found = orjson.loads(await client.statistics())
        assert (found["shard"], found["slots"], found["keeper"]) == (1, 16384, True)
        assert found["store"]["durable_revision"] > 0
        assert found["clusters"] == 2  # its own and system:keys
        await client.close()
        async with dial(f"unix:{directory}/front.sock", None) as channel:
            stub = shard_pb2_grpc.ShardAdminStub(channel)  # type: ignore[no-untyped-call]
            reply = await stub.Statistics(pb.StatisticsRequest(without_census=True))
            figures = orjson.loads(reply.statistics)
            assert "clusters" not in figures  # a front asks often: no walk through the index
            assert figures["loop_stall_seconds"] >= 0
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Checkpoint(pb.CheckpointRequest(directory=f"{directory}/copy"))
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_stopping_twice_started_shards_leaves_nothing_running(directory: str) -> None:
    for _ in range(2):
        async with shard(directory):
            pass
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not [task for task in rest if "kcpshard" in str(task.get_coro())]

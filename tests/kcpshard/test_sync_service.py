"""The Sync service over a unix socket: roles, who is let in, objects down, an end in good order."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import grpc.aio
import pytest

from kcpshard.execution import Execution
from kcpshard.local_shard import LocalShard
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.contract import Result
from kcpshard.rpc.roles import FRONT, SYNCER, RoleInterceptor, fixed_roles
from kcpshard.rpc.transport import dial, listen
from kcpshard.sync_service import SyncService
from kcpshard.syncing.agents import Agents
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import ApiClient, memory_shard


class Served:
    """A shard that answers about Clusters as `cluster` says: (code, uid)."""

    def __init__(self, execution: Execution, agents: Agents) -> None:
        self.local = LocalShard(execution)
        self.service = SyncService(agents, lambda: pb.Hello(protocol=1, shard=1), self.ask, lambda _path: True)
        self.cluster = (200, "u")

    async def ask(self, _request: pb.Request, _timeout_s: float) -> Result:
        code, uid = self.cluster
        return Result(code, b'{"metadata":{"uid":"%s"}}' % uid.encode())


@contextlib.asynccontextmanager
async def serving(role: str) -> AsyncIterator[tuple[Served, Any, ApiClient]]:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with asyncio.TaskGroup() as tasks:
            shard = memory_shard()
            execution = Execution(partial(dispatch, shard), tasks)
            served = Served(execution, Agents(shard, execution, tasks))
            server = grpc.aio.server(interceptors=(RoleInterceptor(fixed_roles(role)),))
            shard_pb2_grpc.add_ShardSyncServicer_to_server(served.service, server)  # type: ignore[no-untyped-call]
            listen(server, f"unix:{directory}/s")
            await server.start()
            async with dial(f"unix:{directory}/s", None) as channel:
                yield served, shard_pb2_grpc.ShardSyncStub(channel).Sync(), ApiClient(shard)  # type: ignore[no-untyped-call]
            await server.stop(None)
            execution.close()


def first(**changes: Any) -> pb.SyncUpBatch:
    agent = pb.SyncAgent(cluster="root", name="east", uid="u")
    subscribe = pb.SyncSubscribe(number=1, types=[pb.SyncType(version="v1", resource="configmaps")])
    given = {"hello": pb.Hello(protocol=1), "agent": agent, "subscribe": subscribe, "credit_bytes": 1000, **changes}
    return pb.SyncUpBatch(**given)


async def test_for_syncers_only() -> None:
    async with serving(FRONT) as (_, call, _up):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def read(call: Any, until: Any) -> list[pb.SyncDownBatch]:
    found = []
    async with asyncio.timeout(30):
        while True:
            found.append(await call.read())
            assert found[-1] is not grpc.aio.EOF
            if until(found[-1]):
                return found


async def test_objects_come_down_and_the_end_is_an_end() -> None:
    async with serving(SYNCER) as (served, call, up):
        body = {"metadata": {"name": "c", "labels": {"kcp.dev/cluster": "east"}}}
        await up.create("/api/v1/namespaces/default/configmaps", body)
        await call.write(first())
        found = await read(call, lambda batch: batch.complete)
        assert found[0].hello.shard == 1 and found[0].serves_registration
        assert [o.name for b in found for o in b.objects] == ["c", "default"]
        async with asyncio.timeout(30):
            await served.service.drain()
            assert await call.read() is grpc.aio.EOF


@pytest.mark.parametrize(
    ("cluster", "changes", "code"),
    [
        ((404, "u"), {}, grpc.StatusCode.PERMISSION_DENIED),
        ((200, "another"), {}, grpc.StatusCode.PERMISSION_DENIED),
        ((503, "u"), {}, grpc.StatusCode.UNAVAILABLE),
        ((200, "u"), {"hello": None}, grpc.StatusCode.PERMISSION_DENIED),
    ],
    ids=["not registered", "another Cluster", "nobody knows", "without a hello"],
)
async def test_who_is_not_let_in(cluster: tuple[int, str], changes: dict[str, Any], code: grpc.StatusCode) -> None:
    async with serving(SYNCER) as (served, call, _up):
        served.cluster = cluster
        await call.write(first(**changes))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async with asyncio.timeout(30):
                await call.read()
        assert refused.value.code() is code

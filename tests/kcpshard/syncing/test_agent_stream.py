"""The parts of one stream that its hub does not show: bounds and pieces."""

import asyncio
from functools import partial
from typing import Any

import pytest

from kcpshard.execution import Execution
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.syncing.agent_stream import MAX_REQUESTS, MAX_TYPES, AgentStream, TooMuch
from kcpshard.syncing.agents import Agents
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import ApiClient, configmap, memory_shard

AGENT = pb.SyncAgent(cluster="root", name="east", uid="u")
CONFIGMAPS = pb.SyncType(version="v1", resource="configmaps")


async def test_large_objects_come_in_pieces_and_types_are_bounded() -> None:
    async with asyncio.TaskGroup() as tasks:
        shard = memory_shard()
        execution = Execution(partial(dispatch, shard), tasks)
        agents = Agents(shard, execution, tasks)
        large = configmap("large", {"k": "x" * 600_000}, labels={"kcp.dev/cluster": "east"})
        await ApiClient(shard).create("/api/v1/namespaces/default/configmaps", large)
        woken = asyncio.Event()
        stream = agents.open(AGENT, woken.set)
        subscribe = pb.SyncSubscribe(number=1, types=[CONFIGMAPS])
        stream.receive(pb.SyncUpBatch(subscribe=subscribe, credit_bytes=1))
        found: list[Any] = []
        async with asyncio.timeout(30):
            while not found:
                batch = stream.next_batch()
                if batch is not None:
                    found += batch.objects
                else:
                    woken.clear()
                    await woken.wait()
        assert [o.more for o in found] == [True, True, False] and all(o.name == "large" for o in found)
        assert b"".join(o.object for o in found).count(b"x") == 600_000 and not found[0].companion
        with pytest.raises(TooMuch):
            stream.receive(pb.SyncUpBatch(subscribe=pb.SyncSubscribe(types=[CONFIGMAPS] * (MAX_TYPES + 1))))
        assert agents.statistics()["placed"] == 1
        execution.close()


async def test_an_agent_has_so_many_requests_under_way() -> None:
    async with asyncio.TaskGroup() as tasks:
        shard = memory_shard()
        execution = Execution(partial(dispatch, shard), tasks)
        stream = AgentStream(shard, execution, Agents(shard, execution, tasks), AGENT, lambda: None)
        stream.jobs = dict.fromkeys(range(MAX_REQUESTS))  # type: ignore[arg-type]
        stream.receive(pb.SyncUpBatch(requests=[pb.Request(id=1, cluster="root", verb=pb.CREATE)]))
        batch = stream.next_batch()
        assert batch is not None and batch.responses[0].code == 429
        stream.jobs = {}
        execution.close()

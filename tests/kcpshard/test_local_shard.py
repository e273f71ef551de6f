"""A shard in this process keeps the contract of every Caller."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from kcpshard.execution import Execution
from kcpshard.local_shard import LocalShard
from tests.contracts.caller import CallerContract
from tests.contracts.scripted_verbs import ScriptedVerbs


class TestLocalShard(CallerContract):
    @pytest.fixture
    async def verbs(self) -> ScriptedVerbs:
        return ScriptedVerbs()

    @pytest.fixture
    async def caller(self, verbs: ScriptedVerbs) -> AsyncIterator[LocalShard]:
        async with asyncio.TaskGroup() as tasks:
            execution = Execution(verbs.dispatch, tasks)
            shard = LocalShard(execution)
            yield shard
            shard.close()
            verbs.gate.set()
            execution.close()

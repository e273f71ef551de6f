"""Controllers beside an API client over one memory shard."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from kcpshard.controllers.contract import Controller
from kcpshard.controllers.runner import Runner
from kcpshard.verbs.shard import Shard

Make = Callable[[Runner], Controller]


@asynccontextmanager
async def running(shard: Shard, make: Sequence[Make]) -> AsyncIterator[Runner]:
    runner = Runner(shard, make)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(runner.run())
        yield runner
        task.cancel()


async def idle(runner: Runner) -> None:
    """Until everything written so far is dealt with, except what waits for a time."""
    async with asyncio.timeout(10):
        quiet = 0
        while quiet < 20:
            await asyncio.sleep(0)
            quiet = quiet + 1 if runner.is_idle() else 0

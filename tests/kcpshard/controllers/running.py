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


async def idle(runner: Runner, within_s: float = 5.0) -> None:
    """Until everything written so far is dealt with, except what waits longer than that."""
    async with asyncio.timeout(60):
        quiet = 0
        while quiet < 20:
            due = runner.queue.next_due()
            waits = due is not None and due < asyncio.get_running_loop().time() + within_s
            await asyncio.sleep(0.001 if waits else 0)
            quiet = quiet + 1 if runner.is_idle() and not waits else 0

"""Waiting for what has been committed to reach the disk."""

import asyncio

from kcpshard.storage.contract import Group


async def durable(group: Group) -> None:
    """Until the group is; raises ReadOnly if the disk does not take it. A cancelled wait leaves the group as it is."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    group.when_durable(lambda: None if done.done() else done.set_result(None))
    group.when_refused(lambda cause: None if done.done() else done.set_exception(cause))
    await done

import asyncio
from collections.abc import AsyncIterator

import pytest

from kcpshard.local_watch import LocalWatchTransport
from kcpshard.rpc.watch_client import WatchClient
from kcpshard.settings import Settings
from tests.contracts.watch_tier import WatchTier
from tests.contracts.watcher import Rig, WatcherContract

SETTINGS = Settings(closed_revision_interval_s=0.01, watch_future_revision_s=0.2)


class TestLocalWatcher(WatcherContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        tier = WatchTier(SETTINGS)
        transport = LocalWatchTransport(tier.service)
        client = WatchClient(transport, "front-1")

        async def break_link() -> None:
            transport.cut()
            await asyncio.sleep(0)

        async def restart() -> None:
            transport.cut()
            tier.restart()
            transport._service = tier.service

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(client.run())
            yield Rig(tier, client, break_link, restart)
            task.cancel()

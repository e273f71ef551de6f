"""One replica of the multi-cluster controllers: works on its share of the logical clusters."""

import asyncio
import logging
import os
import re
import socket
from collections.abc import Callable
from urllib.parse import quote

from kcpsyncer.agent_pool import AgentPool
from kcpsyncer.kube_client import KubeClient
from kcpsyncer.kubeconfig import Access
from kcpsyncer.logical_cluster import LogicalCluster
from kcpsyncer.membership import Membership
from kcpsyncer.offered_clusters import OfferedClusters
from kcpsyncer.served_clusters import ServedClusters
from kcpsyncer.settings import Settings
from kcpsyncer.stream.upstream import Shards

_log = logging.getLogger(__name__)
MEMBERS = "system:controllers"  # the logical cluster that holds the replicas' leases
EVERYWHERE = "*"
RETRY_S = 2.0


def logical_cluster_url(server: str, path: str) -> str:
    """`server` with or without a logical cluster of its own."""
    return f"{re.sub(r'/clusters/[^/]+/?$', '', server).rstrip('/')}/clusters/{quote(path, safe=':*')}"


class ControllerProcess:
    def __init__(self, access: Access, settings: Settings, name: str = "") -> None:
        self._access, self._settings = access, settings
        self._name = name or f"controllers-{socket.gethostname()}-{os.getpid()}".lower()
        self._changed = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Until `stop` is set."""
        async with (
            self._client(MEMBERS) as client,
            self._client(EVERYWHERE) as everywhere,
            OfferedClusters(self._client) as self._offers,
            asyncio.TaskGroup() as tasks,
        ):
            membership = Membership(client, self._name, self._changed.set)
            self._served = ServedClusters(everywhere, self._changed.set)
            background = [tasks.create_task(membership.run())]
            if self._settings.everywhere:
                background.append(tasks.create_task(self._served.run()))
            agents = AgentPool(tasks, self._name, Shards(self._settings.sync))
            ready()
            background.append(tasks.create_task(self._divide(membership, agents, tasks)))
            await stop.wait()
            for path in list(self._running):
                agents.stop_all(path)
                background.append(self._running.pop(path))
            for task in background:
                task.cancel()

    def _client(self, path: str) -> KubeClient:
        return KubeClient(self._access, logical_cluster_url(self._access.server, path), "kcp-controllers")

    async def _divide(self, membership: Membership, agents: AgentPool, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._changed.clear()
            wanted = {*self._settings.logical_clusters, *self._served.paths}
            for path in self._running.keys() - wanted:
                self._running.pop(path).cancel()
            for path in sorted(wanted):
                if membership.owns(path) and path not in self._running:
                    self._running[path] = tasks.create_task(self._work_on(path, agents))
                elif not membership.owns(path) and (task := self._running.pop(path, None)) is not None:
                    _log.info("%s is no longer ours", path)
                    task.cancel()
            await self._changed.wait()

    async def _work_on(self, path: str, agents: AgentPool) -> None:
        _log.info("working on %s", path)
        while True:
            try:
                async with self._client(path) as client:
                    await LogicalCluster(path, client, self._settings, agents, self._offers).run()
            except Exception:  # noqa: BLE001 - one logical cluster never stops the others
                _log.exception("the controllers of %s have ended", path)
            await asyncio.sleep(RETRY_S)

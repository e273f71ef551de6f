"""The agents that run in this process, for clusters that we call: one each, started anew when its access changes."""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from kcpsyncer.agent import LEAVING_S, Agent, Registered, access_key, sync_agent
from kcpsyncer.kube_client import Failure, KubeClient
from kcpsyncer.kubeconfig import Access
from kcpsyncer.stream.upstream import Shards, Upstream

_log = logging.getLogger(__name__)
MAX_RETRY_S = 30.0


class _Running(NamedTuple):
    started_for: tuple[object, ...]
    task: asyncio.Task[None]


class AgentPool:
    """Agents end with `tasks`. Keys are logical cluster, name and uid: equal names elsewhere are other clusters."""

    def __init__(self, tasks: asyncio.TaskGroup, holder: str, shards: Shards) -> None:
        self._tasks, self._holder, self._shards = tasks, holder, shards
        self._running: dict[Registered, _Running] = {}

    def run(self, registered: Registered, access: Access, resources: Sequence[str]) -> None:
        """From now on; nothing happens if exactly that is running."""
        wanted = (access_key(access), tuple(resources))
        present = self._running.get(registered)
        if present is not None and present.started_for == wanted and not present.task.done():
            return
        self.stop(registered)
        task = self._tasks.create_task(self._keep_running(registered, access, resources))
        self._running[registered] = _Running(wanted, task)

    def stop(self, registered: Registered) -> None:
        if (running := self._running.pop(registered, None)) is not None:
            running.task.cancel()

    def stop_all(self, path: str, name: str = "") -> None:
        """Of a logical cluster, or of every Cluster of that name there."""
        for registered in [each for each in self._running if each.path == path and name in ("", each.name)]:
            self.stop(registered)

    async def leave(self, registered: Registered, access: Access, resources: Sequence[str]) -> None:
        """Stop, and remove what is ours there. Raises Failure."""
        self.stop(registered)
        upstream = self._upstream(registered)
        async with KubeClient(access) as downstream, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(upstream.run())
            try:
                async with asyncio.timeout(LEAVING_S):
                    await upstream.wait_until_synced()
                await Agent(registered, upstream, downstream, resources, self._holder).leave()
            except TimeoutError:
                raise Failure(0, "Unreachable", "what is there cannot be found out now") from None
            finally:
                running.cancel()

    def _upstream(self, registered: Registered) -> Upstream:
        return Upstream(sync_agent(registered, self._holder), self._shards, self._holder)

    async def _keep_running(self, registered: Registered, access: Access, resources: Sequence[str]) -> None:
        delay_s = 0.5
        while True:
            try:
                async with KubeClient(access) as downstream:
                    upstream = self._upstream(registered)
                    await Agent(registered, upstream, downstream, resources, self._holder).run()
            except Exception:  # noqa: BLE001 - one cluster's agent never stops the others
                _log.exception("the agent of %s has ended", registered.name)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, MAX_RETRY_S)

"""A shard with the controllers of the workspace tree, and what tests of it ask for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from kcpshard.api.requests import Identity
from kcpshard.controllers.assembly import assemble
from kcpshard.controllers.custom_definitions import CustomDefinitions
from kcpshard.controllers.runner import Runner
from kcpshard.controllers.switches import NAMES
from kcpshard.verbs.shard import Shard
from tests.contracts.api_client import ADMIN, ApiClient, memory_shard

WORKSPACES = "/apis/tenancy.kcp.io/v1alpha1/workspaces"
TYPES = "/apis/tenancy.kcp.io/v1alpha1/workspacetypes"
LOGICAL_CLUSTER = "/apis/core.kcp.io/v1alpha1/logicalclusters/cluster"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def workspace(name: str, type_: str = "", path: str = "root") -> dict[str, Any]:
    found: dict[str, Any] = {"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name}}
    if type_:
        found["spec"] = {"type": {"name": type_, "path": path}}
    return found


class Tree:
    def __init__(self, shard: Shard, runner: Runner, tasks: asyncio.TaskGroup) -> None:
        self.shard, self._runner, self._tasks = shard, runner, tasks
        self._running = tasks.create_task(runner.run())
        self._definitions = CustomDefinitions(shard, shard.catalog)  # type: ignore[arg-type]
        self._defining = tasks.create_task(self._definitions.run())
        self.root = self.at("root")

    def at(self, path: str) -> ApiClient:
        return ApiClient(self.shard, path, ADMIN)

    def as_user(self, path: str, identity: Identity) -> ApiClient:
        return ApiClient(self.shard, path, identity)

    def as_administrator_of(self, path: str) -> ApiClient:
        """Somebody who may do everything there and is nobody in the installation."""
        cluster = self.shard.store.pending_cluster(path)
        if cluster is None:
            from kcpshard.verbs import births

            cluster, _ = births.bear(self.shard, path)
        return ApiClient(
            self.shard, path, Identity("chief", "", ("system:masters", "system:authenticated"), {}, cluster.id)
        )

    def replace_runner(self, runner: Runner) -> None:
        self._running.cancel()
        self._runner = runner
        self._running = self._tasks.create_task(runner.run())

    async def settle(self) -> None:
        """Until no controller has anything to do now."""
        for _ in range(3):
            await asyncio.sleep(0.001)
            async with asyncio.timeout(60):
                while not self._runner.is_idle():
                    await asyncio.sleep(0.001)

    async def allow(self, path: str, user: str, group: str, resource: str, *verbs: str) -> None:
        client = self.at(path)
        rule = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
        name = f"{user}-{resource}"
        role = {"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
        await client.create(f"{RBAC}/clusterroles", {**role, "rules": [rule]})
        await client.create(f"{RBAC}/clusterrolebindings", binding(name, name, user))

    def type(self, name: str, extends: Sequence[str] = (), inherit: Sequence[str] = (), **spec: Any) -> dict[str, Any]:
        found = {"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "WorkspaceType", "metadata": {"name": name}}
        more: dict[str, Any] = {}
        if extends:
            references = [each.rpartition(":") for each in extends]
            more["extend"] = {"with": [{"path": path, "name": last} for path, _, last in references]}
        if inherit:
            more["inherit"] = list(inherit)
        return {**found, "spec": {**more, **spec}}

    def stop(self) -> None:
        self._defining.cancel()
        self._running.cancel()


def binding(name: str, role: str, user: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
    }


@pytest.fixture
async def tree() -> AsyncIterator[Tree]:
    shard = memory_shard()
    async with asyncio.TaskGroup() as tasks:
        made = Tree(shard, assemble(shard, frozenset(NAMES)), tasks)
        try:
            yield made
        finally:
            made.stop()
            await shard.store.close()

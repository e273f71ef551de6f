"""One agent between two servers of our own, without the controllers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from kcpfront.embedding import EmbeddedCluster, EmbeddedServer
from kcpsyncer.agent import FAULT_ANNOTATION, NAMESPACE, Agent, Registered, sync_agent
from kcpsyncer.definitions import definitions
from kcpsyncer.imported_apis import GROUP, IMPORTS, VERSION
from kcpsyncer.kube_client import KubeClient, resource_path
from kcpsyncer.kubeconfig import Access, parse
from kcpsyncer.stream.upstream import Shards, Upstream
from tests.contracts.physical import CLUSTERS, CRDS, eventually

_IMPORTS = resource_path(GROUP, VERSION, IMPORTS)
LEASE = resource_path("coordination.k8s.io", "v1", "leases", NAMESPACE, "east")


@contextlib.asynccontextmanager
async def agent(upstream: EmbeddedCluster, physical: Access) -> AsyncIterator[KubeClient]:
    async with KubeClient(parse(upstream.kubeconfig.read_text())) as up, KubeClient(physical) as down:
        for made in definitions():
            await up.create(CRDS, made)
        body: dict[str, Any] = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "spec": {}}
        cluster = await eventually(lambda: up.create(CLUSTERS, {**body, "metadata": {"name": "east"}}))
        registered = Registered(upstream.path, "east", cluster["metadata"]["uid"])
        upstream_ = Upstream(sync_agent(registered, "holder"), Shards((upstream.sync_address,)), "test")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(Agent(registered, upstream_, down, ["deployments.apps"], "holder").run())
            try:
                yield up
            finally:
                running.cancel()


async def test_it_tells_that_it_lives_and_what_there_is(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    physical = physical_server.create_cluster()
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n"},
        "status": {"allocatable": {"cpu": "4"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    access = parse(physical.kubeconfig.read_text())
    async with KubeClient(access) as down:
        await down.create("/api/v1/nodes", node)
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1500m"}}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
        await down.create("/api/v1/namespaces/default/pods", pod)
    async with agent(upstream_server.create_cluster(), access) as up:
        lease = await eventually(lambda: up.get(LEASE))
        assert lease["spec"]["holderIdentity"] == "holder" and lease["metadata"]["annotations"][FAULT_ANNOTATION] == ""
        imported = await eventually(lambda: up.get(f"{_IMPORTS}/deployments.east.v1.apps"))
        assert (
            imported["spec"]["location"] == "east" and imported["spec"]["schemaUpdateStrategy"] == "UpdateUnpublished"
        )

        async def measured() -> Any:
            return ((await up.get(f"{CLUSTERS}/east")) or {}).get("status")

        status = await eventually(measured)
        assert status["allocatable"] == {"cpu": "4"} and status["free"] == {"cpu": "2500m"}


async def test_a_cluster_that_does_not_answer_is_told(upstream_server: EmbeddedServer) -> None:
    async with agent(upstream_server.create_cluster(), Access("https://127.0.0.1:9", "", "t")) as up:
        lease = await eventually(lambda: up.get(LEASE))
        assert lease["metadata"]["annotations"][FAULT_ANNOTATION].startswith("the cluster does not answer")

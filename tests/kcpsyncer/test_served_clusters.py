import asyncio

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.controller_process import logical_cluster_url
from kcpsyncer.definitions import CLUSTERS, definitions
from kcpsyncer.kube_client import KubeClient
from kcpsyncer.kubeconfig import parse
from kcpsyncer.served_clusters import ServedClusters
from tests.contracts.physical import CRDS, eventually


async def test_definitions_come_and_go(upstream_server: EmbeddedServer) -> None:
    first, second = upstream_server.create_cluster(), upstream_server.create_cluster()
    access = parse(first.kubeconfig.read_text())
    url = logical_cluster_url(access.server, "*")
    assert url.endswith("/clusters/*")
    told: list[None] = []
    async with KubeClient(access, url) as everywhere, asyncio.TaskGroup() as tasks:
        served = ServedClusters(everywhere, lambda: told.append(None))
        running = tasks.create_task(served.run())

        async def is_served(path: str, wanted: bool = True) -> bool:
            return (path in served.paths) is wanted

        for cluster in (first, second):
            async with KubeClient(parse(cluster.kubeconfig.read_text())) as client:
                await client.create(CRDS, definitions()[0])
            await eventually(lambda cluster=cluster: is_served(cluster.path))
        async with KubeClient(access) as client:
            await client.delete(f"{CRDS}/{CLUSTERS}")
        await eventually(lambda: is_served(first.path, wanted=False))
        assert second.path in served.paths and len(told) >= 3
        running.cancel()

"""Between two servers of our own."""

from typing import Any

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.imported_apis import GROUP, IMPORTS, NEGOTIATED, VERSION
from kcpsyncer.kube_client import KubeClient, resource_path
from kcpsyncer.kubeconfig import parse
from tests.contracts.physical import (
    UP,
    deployment,
    eventually,
    has_replicas,
    is_gone,
    kubeconfig_of,
    placed,
    ready_world,
    working,
)

_IMPORTS, _NEGOTIATED = resource_path(GROUP, VERSION, IMPORTS), resource_path(GROUP, VERSION, NEGOTIATED)
Object = dict[str, Any]


async def test_what_happened_while_nobody_looked(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    """D-6, D-12: level-triggered after a restart of the controllers, deletions too."""
    upstream = upstream_server.create_cluster()
    async with working(upstream) as world:
        await ready_world(world, physical_server)
        for name in ("gone", "changed"):
            await world.up.create(UP, deployment(name, "east"))
        live = await eventually(lambda: placed(world, "changed"))
        await eventually(lambda: placed(world, "gone"))
        physical = world.down["east"]
        namespace = live["metadata"]["namespace"]
        url, access = physical.url, physical._access
    async with KubeClient(parse(kubeconfig_of(upstream)), manager="test") as up, KubeClient(access, url) as down:
        await up.delete(f"{UP}/gone")
        await up.merge(f"{UP}/changed", {"spec": {"replicas": 5}})
        path = resource_path("apps", "v1", "deployments", namespace, "changed")
        live = await down.get(path)
        assert live is not None
        await down.update(f"{path}/status", {**live, "status": {"replicas": 4}})
        async with working(upstream) as world:
            world.down["east"] = down
            await eventually(lambda: has_replicas(world, path, 5))
            await eventually(lambda: is_gone(world, resource_path("apps", "v1", "deployments", namespace, "gone")))

            async def reported() -> bool:
                return ((await up.get(f"{UP}/changed")) or {}).get("status", {}).get("replicas") == 4

            await eventually(reported)

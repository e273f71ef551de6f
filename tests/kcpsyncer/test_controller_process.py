"""Replicas and their shares, and everything together."""

from typing import Any

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.controller_process import logical_cluster_url
from kcpsyncer.imported_apis import GROUP, IMPORTS, NEGOTIATED, VERSION
from kcpsyncer.kube_client import resource_path
from tests.contracts.physical import (
    CLUSTERS,
    DEPLOYMENTS,
    UP,
    World,
    deployment,
    eventually,
    has,
    is_gone,
    placed,
    ready_world,
    working,
)

_IMPORTS, _NEGOTIATED = resource_path(GROUP, VERSION, IMPORTS), resource_path(GROUP, VERSION, NEGOTIATED)
Object = dict[str, Any]


def test_urls() -> None:
    for server in ("https://h:1", "https://h:1/", "https://h:1/clusters/root", "https://h:1/clusters/root:a/"):
        assert logical_cluster_url(server, "root:b") == "https://h:1/clusters/root:b"


async def measured(world: World) -> dict[str, Any] | None:
    """Once its capacity and version are told, which is a report of its own."""
    found = await world.up.get(f"{CLUSTERS}/east")
    return found if found is not None and "version" in found["status"] else None


async def test_from_registration_to_status(upstream_server: EmbeddedServer, physical_server: EmbeddedServer) -> None:
    async with working(upstream_server.create_cluster()) as world:
        await ready_world(world, physical_server)
        cluster = await eventually(lambda: measured(world))
        assert cluster["status"]["syncedResources"] == ["deployments.apps"]
        assert cluster["status"]["version"].startswith("v1.")

        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"k": "1"}}
        await world.up.create("/api/v1/namespaces/default/configmaps", config)
        await world.up.create(UP, deployment("web", "east"))
        live = await eventually(lambda: placed(world))
        namespace = live["metadata"]["namespace"]
        assert namespace.startswith("kcp-") and live["spec"]["replicas"] == 2
        assert live["metadata"]["annotations"]["kcp.io/namespace"] == "default"
        carried = f"/api/v1/namespaces/{namespace}/configmaps/cm"
        assert (await eventually(lambda: world.down["east"].get(carried)))["data"] == {"k": "1"}

        # status comes up, in terms of the upstream generation
        live = await world.down["east"].get(
            f"{DEPLOYMENTS.replace('deployments', '')}namespaces/{namespace}/deployments/web"
        )
        assert live is not None
        status = {"replicas": 2, "readyReplicas": 2, "observedGeneration": live["metadata"]["generation"]}
        path = resource_path("apps", "v1", "deployments", namespace, "web")
        await world.down["east"].update(f"{path}/status", {**live, "status": status})

        async def reported() -> bool:
            up = await world.up.get(f"{UP}/web")
            assert up is not None
            found = up.get("status") or {}
            return found.get("readyReplicas") == 2 and found.get("observedGeneration") == up["metadata"]["generation"]

        await eventually(reported)

        # a change goes down, a field removed too, drift is mended, the companion follows its original
        await world.up.merge(f"{UP}/web", {"spec": {"replicas": 3, "paused": True}})
        await eventually(lambda: has(world, path, replicas=3, paused=True))
        await world.up.merge(f"{UP}/web", {"spec": {"paused": None}})
        await eventually(lambda: has(world, path, replicas=3, paused=None))
        await world.down["east"].merge(path, {"spec": {"replicas": 7}})
        await eventually(lambda: has(world, path, replicas=3))
        await world.up.merge("/api/v1/namespaces/default/configmaps/cm", {"data": {"k": None, "l": "2"}})

        async def followed() -> bool:
            return ((await world.down["east"].get(carried)) or {}).get("data") == {"l": "2"}

        await eventually(followed)

        # what is gone above goes below, with its companions
        await world.up.delete(f"{UP}/web")
        await eventually(lambda: is_gone(world, path))
        await eventually(lambda: is_gone(world, carried))

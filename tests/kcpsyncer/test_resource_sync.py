"""Between two servers of our own."""

from typing import Any

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.imported_apis import GROUP, IMPORTS, NEGOTIATED, VERSION
from kcpsyncer.kube_client import resource_path
from tests.contracts.physical import UP, deployment, eventually, has_replicas, placed, ready_world, working

_IMPORTS, _NEGOTIATED = resource_path(GROUP, VERSION, IMPORTS), resource_path(GROUP, VERSION, NEGOTIATED)
Object = dict[str, Any]


async def test_moving_the_label_moves_the_object(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    async with working(upstream_server.create_cluster()) as world:
        await ready_world(world, physical_server)
        await world.register("west", physical_server.create_cluster())
        await eventually(lambda: world.is_ready("west"))
        await world.up.create(UP, deployment("web", "east"))
        await eventually(lambda: placed(world))
        await world.up.merge(f"{UP}/web", {"metadata": {"labels": {"kcp.dev/cluster": "west"}}})
        await eventually(lambda: placed(world, where="west"))

        async def left() -> bool:
            return await placed(world) is None

        await eventually(left)


async def test_what_is_not_ours_is_left_alone(upstream_server: EmbeddedServer, physical_server: EmbeddedServer) -> None:
    """D-26, and that one object that cannot be carried does not stop the others."""
    async with working(upstream_server.create_cluster()) as world:
        await ready_world(world, physical_server)
        await world.up.create(UP, deployment("first", "east"))
        live = await eventually(lambda: placed(world, "first"))
        namespace = live["metadata"]["namespace"]
        foreign = deployment("web", "east")
        foreign["metadata"] = {"name": "web", "namespace": namespace}
        below = resource_path("apps", "v1", "deployments", namespace)
        await world.down["east"].create(below, foreign)
        await world.up.create(UP, deployment("web", "east", replicas=9))
        await world.up.create(UP, deployment("last", "east"))
        await eventually(lambda: placed(world, "last"))

        async def told() -> bool:
            events, _ = await world.up.list("/api/v1/namespaces/default/events")
            return any(e["reason"] == "SyncFailed" and "is not ours" in e["message"] for e in events)

        await eventually(told)
        live = await world.down["east"].get(f"{below}/web")
        assert live is not None and live["spec"]["replicas"] == 2 and not live["metadata"].get("labels")

        await world.up.merge(f"{UP}/web", {"metadata": {"annotations": {"kcp.dev/adopt": "true"}}})
        await eventually(lambda: has_replicas(world, f"{below}/web", 9))

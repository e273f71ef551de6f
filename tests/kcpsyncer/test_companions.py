"""Two users of one secret, and what an earlier run left, between two servers of our own."""

import asyncio
from typing import Any

from kcpfront.embedding import EmbeddedServer
from kcpshard.api.pod_references import Reference
from kcpsyncer.companions import Companions
from kcpsyncer.kube_client import KubeClient, resource_path
from kcpsyncer.kubeconfig import parse
from kcpsyncer.namespace_mapping import Origin
from kcpsyncer.placed_objects import namespace_object
from tests.contracts.physical import eventually

SECRET = Reference("secrets", "Secret", "s")
ORIGIN = Origin("root:a", "i")
OWNER = "7c9f"


async def test_a_companion_lives_as_long_as_somebody_needs_it(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    up_access = parse(upstream_server.create_cluster().kubeconfig.read_text())
    down_access = parse(physical_server.create_cluster().kubeconfig.read_text())
    async with KubeClient(up_access) as up, KubeClient(down_access) as down:
        namespace = namespace_object(ORIGIN, "default", OWNER)
        await down.create("/api/v1/namespaces", namespace)
        below = resource_path("", "v1", "secrets", namespace["metadata"]["name"])
        left = {"name": "left", "labels": {"kcp.dev/syncer": OWNER}, "annotations": {"kcp.io/namespace": "default"}}
        for metadata in (left, {"name": "foreign"}):
            await down.create(below, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
        secret: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s"},
            "data": {"a": "Yg=="},
        }

        companions = Companions(ORIGIN, OWNER, up, down)
        companions.need("one", "default", {SECRET})  # before it runs, and before the secret exists
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(companions.run())
            await up.create("/api/v1/namespaces/default/secrets", secret)
            assert (await eventually(lambda: down.get(f"{below}/s")))["data"] == {"a": "Yg=="}
            companions.need("other", "default", {SECRET})
            companions.need("one", "default", set())
            await companions.sweep()
            assert await down.get(f"{below}/s") and await down.get(f"{below}/foreign")
            assert await down.get(f"{below}/left") is None
            companions.need("other", "default", set())

            async def gone() -> bool:
                return await down.get(f"{below}/s") is None

            await eventually(gone)
            running.cancel()

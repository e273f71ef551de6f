"""What comes along with placed objects, and what an earlier run left, on a server of our own."""

import asyncio
from typing import Any

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.companions import Carrier, Companions
from kcpsyncer.kube_client import KubeClient, resource_path
from kcpsyncer.kubeconfig import parse
from kcpsyncer.namespace_mapping import Origin
from kcpsyncer.placed_objects import namespace_object
from tests.contracts.fed_upstream import INCARNATION, PATH, FedUpstream
from tests.contracts.physical import eventually

ORIGIN, OWNER = Origin(PATH, INCARNATION), "7c9f"


async def test_a_companion_lives_as_long_as_it_is_sent(physical_server: EmbeddedServer) -> None:
    access = parse(physical_server.create_cluster().kubeconfig.read_text())
    async with KubeClient(access) as down:
        namespace = namespace_object(ORIGIN, "default", OWNER)
        await down.create("/api/v1/namespaces", namespace)
        below = resource_path("", "v1", "secrets", namespace["metadata"]["name"])
        left = {"name": "left", "labels": {"kcp.dev/syncer": OWNER}, "annotations": {"kcp.io/namespace": "default"}}
        for metadata in (left, {"name": "foreign"}):
            await down.create(below, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
        metadata = {"name": "s", "namespace": "default", "uid": "u"}
        secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"a": "Yg=="}}
        upstream = FedUpstream()
        upstream.start()
        upstream.put("secrets", secret)
        companions = Companions(Carrier(ORIGIN, "east", OWNER), upstream, down)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(companions.run())
            assert (await eventually(lambda: down.get(f"{below}/s")))["data"] == {"a": "Yg=="}
            upstream.put("secrets", {**secret, "data": {"a": "Yw=="}})

            async def changed() -> bool:
                return bool((await down.get(f"{below}/s") or {}).get("data") == {"a": "Yw=="})

            await eventually(changed)
            await companions.sweep()
            assert await down.get(f"{below}/s") and await down.get(f"{below}/foreign")
            assert await down.get(f"{below}/left") is None
            upstream.put("secrets", None, "s")

            async def gone() -> bool:
                return await down.get(f"{below}/s") is None

            await eventually(gone)
            running.cancel()

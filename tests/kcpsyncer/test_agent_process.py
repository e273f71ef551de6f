"""An agent that calls: it comes with a token, goes on with a certificate, and may do no more than it must."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.agent import Registered
from kcpsyncer.agent_process import AgentProcess, in_cluster_access
from kcpsyncer.imported_apis import GROUP, IMPORTS, VERSION
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.kubeconfig import Access, Unusable, parse
from tests.contracts.physical import (
    CLUSTERS,
    UP,
    World,
    deployment,
    eventually,
    has_replicas,
    is_gone_above,
    joined,
    working,
)

SECRETS = "/api/v1/namespaces/default/secrets"
KEPT = ("default", "kcp-agent-inside")


@contextlib.asynccontextmanager
async def agent(world: World, manifest: list[dict[str, Any]], physical: Access) -> AsyncIterator[None]:
    """As the manifest would run it, beside a physical cluster instead of in it."""
    (secret,) = (each for each in manifest if each["kind"] == "Secret")
    (run,) = (each for each in manifest if each["kind"] == "Deployment")
    given = dict(
        a.removeprefix("--").split("=", 1) for a in run["spec"]["template"]["spec"]["containers"][0]["args"] if "=" in a
    )
    registered = Registered(given["logical-cluster"], given["cluster"], given["uid"])
    bootstrap = parse(secret["stringData"]["kubeconfig"])
    process = AgentProcess(registered, bootstrap, lambda: physical, [given["resource"]], KEPT)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.run(stop))
        try:
            yield
        finally:
            stop.set()


async def certified(down: KubeClient, upstream: Access) -> Access:
    found = await eventually(lambda: down.get(resource_path("", "v1", "secrets", *KEPT)))
    certificate, key = (base64.b64decode(found["data"][name]).decode() for name in ("tls.crt", "tls.key"))
    return Access(upstream.server, upstream.authority, "", certificate, key)


async def refused(work: Any) -> bool:
    with pytest.raises(Failure) as failure:
        await work
    return failure.value.code == 403


async def test_from_joining_to_leaving(upstream_server: EmbeddedServer, physical_server: EmbeddedServer) -> None:
    """D-1, D-2, D-18"""
    upstream = upstream_server.create_cluster()
    physical = parse(physical_server.create_cluster().kubeconfig.read_text())
    async with working(upstream) as world, KubeClient(physical) as down:
        await world.define()
        world.down["inside"] = down
        await eventually(lambda: world.up.list(CLUSTERS))
        manifest = await asyncio.to_thread(joined, upstream)
        assert [each["kind"] for each in manifest] == [
            "Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Secret", "Deployment"
        ]  # fmt: skip
        async with agent(world, manifest, physical):
            await eventually(lambda: world.is_ready("inside"))
            for name in ("wanted", "other"):
                secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"a": "b"}}
                await world.up.create(SECRETS, secret)
            made = deployment("web", "inside")
            made["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "wanted"}}]
            made["spec"]["template"]["spec"]["containers"][0].pop("env")
            await world.up.create(UP, made)

            async def carried() -> Any:
                found, _ = await down.list("/api/v1/secrets")
                return next((each for each in found if each["metadata"]["name"] == "wanted"), None)

            live = await eventually(carried)
            below = resource_path("apps", "v1", "deployments", live["metadata"]["namespace"], "web")
            await eventually(lambda: has_replicas(world, below, 2, "inside"))
            found = await down.get(below)
            assert found is not None
            await down.update(f"{below}/status", {**found, "status": {"replicas": 2}})

            async def reported() -> bool:
                return (((await world.up.get(f"{UP}/web")) or {}).get("status") or {}).get("replicas") == 2

            await eventually(reported)

            # no more than that
            async with KubeClient(await certified(down, world.up._access)) as ours:
                assert await refused(ours.get(f"{SECRETS}/wanted")) and await refused(ours.list(SECRETS))
                assert await refused(ours.get(f"{UP}/web"))
                assert await refused(ours.merge(f"{UP}/web", {"spec": {"replicas": 9}}))
                assert await refused(ours.delete(f"{UP}/web"))
                assert await refused(ours.merge(f"{CLUSTERS}/inside", {"spec": {"cordon": True}}))
                assert await refused(ours.create("/api/v1/namespaces", {"metadata": {"name": "mine"}}))
                assert await refused(ours.list(resource_path(GROUP, VERSION, IMPORTS)))
                assert await ours.get(f"{CLUSTERS}/inside")

            await world.up.delete(f"{CLUSTERS}/inside")
            await eventually(lambda: is_gone_above(world, f"{CLUSTERS}/inside"))
            assert await down.get(below) is None and await world.up.get(f"{UP}/web") is not None


def test_outside_of_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Unusable, match="not a pod"):
        in_cluster_access(tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(Unusable, match="cannot be read"):
        in_cluster_access(tmp_path)
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "ca.crt").write_text("pem")
    assert in_cluster_access(tmp_path) == Access("https://[::1]:443", "pem", "t")

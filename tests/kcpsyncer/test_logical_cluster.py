"""Registration as its user sees it."""

from typing import Any

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.imported_apis import GROUP, IMPORTS, NEGOTIATED, VERSION
from kcpsyncer.kube_client import resource_path
from tests.contracts.physical import (
    CLUSTERS,
    CRDS,
    UP,
    deployment,
    eventually,
    is_gone,
    is_gone_above,
    kubeconfig_of,
    placed,
    ready_world,
    working,
)

_IMPORTS, _NEGOTIATED = resource_path(GROUP, VERSION, IMPORTS), resource_path(GROUP, VERSION, NEGOTIATED)
Object = dict[str, Any]


async def test_deregistering_takes_everything_along(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    """D-27; the objects above stay, because they are in use (D-11)."""
    async with working(upstream_server.create_cluster()) as world:
        await ready_world(world, physical_server)
        await world.up.create(UP, deployment("web", "east"))
        live = await eventually(lambda: placed(world))
        await world.up.delete(f"{CLUSTERS}/east")
        await eventually(lambda: is_gone_above(world, f"{CLUSTERS}/east"))
        path = resource_path("apps", "v1", "deployments", live["metadata"]["namespace"], "web")
        await eventually(lambda: is_gone(world, path))
        await eventually(lambda: is_gone_above(world, f"{_IMPORTS}/deployments.east.v1.apps"))
        assert await world.up.get(f"{UP}/web") is not None
        await world.up.delete(f"{UP}/web")
        await eventually(lambda: is_gone_above(world, f"{CRDS}/deployments.apps"))
        await eventually(lambda: is_gone_above(world, f"{_NEGOTIATED}/deployments.v1.apps"))


async def test_a_kubeconfig_that_is_refused_is_told(upstream_server: EmbeddedServer) -> None:
    async with working(upstream_server.create_cluster()) as world:
        await world.define()
        body = {
            "apiVersion": "cluster.example.dev/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": "strange"},
            "spec": {"kubeconfig": "hello"},
        }
        await eventually(lambda: world.up.create(CLUSTERS, body))
        found = await eventually(lambda: world.condition(f"{CLUSTERS}/strange", "Ready"))
        assert (found["status"], found["reason"]) == ("False", "InvalidKubeConfig")
        await world.up.delete(f"{CLUSTERS}/strange")
        await eventually(lambda: is_gone_above(world, f"{CLUSTERS}/strange"))


async def test_a_kubeconfig_from_a_secret(upstream_server: EmbeddedServer, physical_server: EmbeddedServer) -> None:
    async with working(upstream_server.create_cluster()) as world:
        await world.define()
        physical = physical_server.create_cluster()
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "east"},
            "stringData": {"kubeconfig": kubeconfig_of(physical)},
        }
        reference = {"namespace": "default", "name": "east"}
        await world.register("east", physical, kubeconfigSecretRef=reference)
        found = await eventually(lambda: world.condition(f"{CLUSTERS}/east", "Ready"))
        assert found["message"] == "spec.kubeconfigSecretRef: there is no Secret default/east"
        await world.up.create("/api/v1/namespaces/default/secrets", secret)
        await eventually(lambda: world.is_ready("east"))

"""A cluster of one logical cluster used by others: what they see, what they may, and what becomes of it."""

import asyncio
from typing import Any

from kcpfront.embedding import EmbeddedCluster, EmbeddedServer
from kcpsyncer.agent_pool import AgentPool
from kcpsyncer.controller_process import logical_cluster_url
from kcpsyncer.controllers.cluster_offers import consumer_finalizer
from kcpsyncer.definitions import definitions
from kcpsyncer.kube_client import KubeClient
from kcpsyncer.kubeconfig import parse
from kcpsyncer.logical_cluster import LogicalCluster
from kcpsyncer.offered_clusters import OfferedClusters
from kcpsyncer.settings import Settings
from kcpsyncer.stream.upstream import Shards
from tests.contracts.physical import CLUSTERS, CRDS, DEPLOYMENTS, UP, World, deployment, eventually, working

Object = dict[str, Any]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
RULE = {"apiGroups": ["cluster.example.dev"], "resources": ["clusters"], "verbs": ["use"], "resourceNames": ["east"]}


def client_of(cluster: EmbeddedCluster, path: str = "") -> KubeClient:
    access = parse(cluster.kubeconfig.read_text())
    return KubeClient(access, logical_cluster_url(access.server, path or cluster.path), "test")


async def grant(client: KubeClient, group: str) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "use-east"}}
    await client.create(f"{RBAC}/clusterroles", {**role, "rules": [RULE]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "use-east"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
    body = {**role, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]}
    await client.create(f"{RBAC}/clusterrolebindings", body)


async def condition(client: KubeClient, kind: str, status: str) -> Object | None:
    found = await client.get(f"{CLUSTERS}/east")
    conditions = ((found or {}).get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind and each["status"] == status), None)


async def count_below(world: World, name: str = "web--east") -> int:
    found, _ = await world.down["east"].list(DEPLOYMENTS)
    return sum(each["metadata"]["name"] == name for each in found)


async def is_below(world: World, count: int) -> bool:
    return await count_below(world) == count


async def is_gone(client: KubeClient, path: str) -> bool:
    return await client.get(path) is None


def root() -> Object:
    made = deployment("web", "")
    made["metadata"]["labels"] = {"app": "web"}
    return made


async def test_a_cluster_is_bound_used_and_taken_back(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    provider, consumer = upstream_server.create_cluster(), upstream_server.create_cluster()
    async with working(provider, True, consumer.path) as world, client_of(consumer) as tenant:
        await world.define()
        await world.register("east", physical_server.create_cluster())
        await world.up.merge(f"{CLUSTERS}/east", {"metadata": {"labels": {"region": "eu"}}})
        for made in definitions():
            await tenant.create(CRDS, made)
        bound = {
            "apiVersion": "cluster.example.dev/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": "east"},
            "spec": {"offeredBy": {"path": provider.path}},
        }
        await eventually(lambda: tenant.create(CLUSTERS, bound))
        # without the right it is as if there were none
        found = await eventually(lambda: condition(tenant, "Usable", "False"))
        assert found["reason"] == "NotOffered"

        await grant(world.up, f"system:cluster:{consumer.path}")
        await eventually(lambda: condition(tenant, "Usable", "True"))
        await eventually(lambda: condition(tenant, "Ready", "True"))
        seen = await tenant.get(f"{CLUSTERS}/east")
        assert seen is not None
        assert seen["metadata"]["labels"] == {"region": "eu"}
        assert seen["spec"] == {"offeredBy": {"path": provider.path}}
        assert "token" not in str(seen) and "certificate" not in str(seen)
        held = await world.up.get(f"{CLUSTERS}/east")
        assert held is not None and consumer_finalizer(consumer.path) in held["metadata"]["finalizers"]

        await tenant.create(UP, root())
        await eventually(lambda: is_below(world, 1))
        # the right is taken back: what is there goes, and the reason is told
        await world.up.delete(f"{RBAC}/clusterrolebindings/use-east")
        await eventually(lambda: is_below(world, 0))
        await eventually(lambda: is_gone(tenant, f"{UP}/web--east"))

        async def is_told() -> bool:
            obj = await tenant.get(f"{UP}/web")
            placed = [c for c in (obj or {}).get("status", {}).get("conditions") or () if c["type"] == "Placed"]
            return bool(placed) and "no right to use it" in placed[0]["message"]

        await eventually(is_told)

        async def is_released() -> bool:
            obj = await world.up.get(f"{CLUSTERS}/east")
            return obj is not None and consumer_finalizer(consumer.path) not in obj["metadata"]["finalizers"]

        await eventually(is_released)
        await tenant.delete(f"{CLUSTERS}/east")
        await eventually(lambda: is_gone(tenant, f"{CLUSTERS}/east"))


async def test_what_an_ancestor_offers_is_inherited(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    provider = upstream_server.create_cluster()
    path = f"{provider.path}:team"
    async with client_of(provider, path) as tenant, client_of(provider) as admin:
        workspace = {
            "apiVersion": "tenancy.kcp.io/v1alpha1",
            "kind": "Workspace",
            "metadata": {"name": "team"},
            "spec": {"type": {"name": "universal", "path": "root"}},
        }
        await admin.create("/apis/tenancy.kcp.io/v1alpha1/workspaces", workspace)
        await eventually(lambda: tenant.get("/api/v1/namespaces/default"))
        for made in definitions():
            await tenant.create(CRDS, made)
        async with working(provider, True, path) as world:
            await world.define()
            await world.register("east", physical_server.create_cluster())
            await grant(world.up, f"system:cluster:{provider.path}:*")
            await eventually(lambda: condition(tenant, "Ready", "True"))
            await tenant.create(UP, root())
            await eventually(lambda: is_below(world, 1))
            # what its owner does shows; and when he removes it, it is left first
            await world.up.merge(f"{CLUSTERS}/east", {"spec": {"cordon": True}})

            async def is_cordoned() -> bool:
                found = await tenant.get(f"{CLUSTERS}/east")
                return found is not None and found["spec"].get("cordon") is True

            await eventually(is_cordoned)
            await world.up.delete(f"{CLUSTERS}/east")
            await eventually(lambda: is_gone(world.up, f"{CLUSTERS}/east"))
            assert await count_below(world) == 0
            await eventually(lambda: is_gone(tenant, f"{CLUSTERS}/east"))


async def test_a_kubeconfig_of_a_tenant_is_not_used(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    """Only where clusters may be registered: else every tenant could have us connect to where he likes."""
    tenant = upstream_server.create_cluster()
    kubeconfig = physical_server.create_cluster().kubeconfig.read_text()
    async with (
        client_of(tenant) as client,
        OfferedClusters(lambda path: client_of(tenant, path)) as offers,
        asyncio.TaskGroup() as tasks,
    ):
        agents = AgentPool(tasks, "test", Shards(()))
        settings = Settings(("deployments.apps",), logical_clusters=("root",))
        running = tasks.create_task(LogicalCluster(tenant.path, client, settings, agents, offers).run())
        for made in definitions():
            await client.create(CRDS, made)
        body = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": "east"}}
        await eventually(lambda: client.create(CLUSTERS, {**body, "spec": {"kubeconfig": kubeconfig}}))
        found = await eventually(lambda: condition(client, "Ready", "False"))
        assert "not registered in this logical cluster" in found["message"]
        assert not agents._running
        running.cancel()


async def test_a_mirror_is_nobody_s_to_offer(upstream_server: EmbeddedServer) -> None:
    provider = upstream_server.create_cluster()
    async with OfferedClusters(lambda path: client_of(provider, path)) as offers, client_of(provider) as client:
        for made in definitions():
            await client.create(CRDS, made)
        body = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": "east"}}
        await eventually(lambda: client.create(CLUSTERS, {**body, "spec": {"offeredBy": {"path": "root"}}}))
        await grant(client, "system:authenticated")
        assert (await offers.find("anybody", provider.path, "east")).cluster is None
        await client.create(CLUSTERS, {**body, "metadata": {"name": "west"}, "spec": {}})
        assert (await offers.find("anybody", provider.path, "west")).is_allowed is False
        assert (await offers.find("anybody", provider.path, "nothing")).cluster is None
        assert await offers.inherited(provider.path) == []

"""The prototype's splitter as its users see it, and what it did not do: scaling, drain, failover. Physical clusters are
servers of our own; a test plays the part of their controllers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

import kcpfront
from kcpfront.embedding import EmbeddedServer
from kcpsyncer.kube_client import MERGE, Failure, KubeClient
from kcpsyncer.kubeconfig import parse
from kcpsyncer.workloads import is_workload
from tests.contracts.physical import CLUSTERS, CRDS, DEPLOYMENTS, UP, World, deployment, eventually, working

Object = dict[str, Any]


def root(replicas: int, **spec: Any) -> Object:
    made = deployment("web", "", replicas=replicas, **spec)
    made["metadata"]["labels"] = {"app": "web"}
    return made


async def leafs(world: World) -> dict[str, int]:
    """Replicas of each leaf by its name."""
    found, _ = await world.up.list(UP)
    return {each["metadata"]["name"]: each["spec"]["replicas"] for each in found if each["metadata"]["name"] != "web"}


async def divided(world: World, **replicas: int) -> bool:
    return await leafs(world) == {f"web--{name}": count for name, count in replicas.items()}


@contextlib.asynccontextmanager
async def kubelets(*clients: KubeClient) -> AsyncIterator[None]:
    """Every deployment gets what it asks for at once."""

    async def work() -> None:
        while True:
            for client in clients:
                with contextlib.suppress(Failure):
                    for obj in (await client.list(DEPLOYMENTS))[0]:
                        await ready(client, obj)
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(work())
        try:
            yield
        finally:
            working.cancel()


async def ready(client: KubeClient, obj: Object) -> None:
    count = obj["spec"]["replicas"]
    available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
    numbers = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")
    status = {**dict.fromkeys(numbers, count), "observedGeneration": obj["metadata"]["generation"]}
    if (obj.get("status") or {}) != {**status, "conditions": [available]}:
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        path = f"{DEPLOYMENTS.removesuffix('deployments')}namespaces/{namespace}/deployments/{name}/status"
        await client.update(path, {**obj, "status": {**status, "conditions": [available]}})


async def two_clusters(world: World, server: EmbeddedServer, *names: str) -> None:
    await world.define()
    for name in names:
        await world.register(name, server.create_cluster())
    for name in names:
        await eventually(lambda name=name: world.is_ready(name))


async def test_fifteen_over_two(upstream_server: EmbeddedServer, physical_server: EmbeddedServer) -> None:
    """D-7, D-8, D-25"""
    async with working(upstream_server.create_cluster()) as world:
        await two_clusters(world, physical_server, "east", "west")
        async with kubelets(*world.down.values()):
            await world.up.create(UP, root(15))
            await eventually(lambda: _divided_evenly(world, 15))

            async def told() -> bool:
                status = ((await world.up.get(f"{UP}/web")) or {}).get("status") or {}
                conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
                return status.get("availableReplicas") == 15 and conditions.get("Available") == "True"

            await eventually(told)
            await world.up.merge(f"{UP}/web", {"spec": {"replicas": 4}})
            await eventually(lambda: divided(world, east=2, west=2))
            await world.up.delete(f"{UP}/web--west")
            await eventually(lambda: divided(world, east=2, west=2))
            template = {"spec": {"template": {"metadata": {"labels": {"more": "yes"}}}}}
            await world.up.merge(f"{UP}/web", template)

            async def carried() -> bool:
                found, _ = await world.down["west"].list(DEPLOYMENTS)
                return any("more" in d["spec"]["template"]["metadata"]["labels"] for d in found)

            await eventually(carried)

            # a drained cluster is left without a gap
            await world.up.merge(f"{CLUSTERS}/west", {"spec": {"drain": True}})
            await eventually(lambda: divided(world, east=4))
            await world.up.merge(f"{CLUSTERS}/west", {"spec": {"drain": False}})
            await eventually(lambda: divided(world, east=2, west=2))
            await world.up.delete(f"{UP}/web")
            await eventually(lambda: divided(world))


async def _divided_evenly(world: World, total: int) -> bool:
    found = await leafs(world)
    return set(found) == {"web--east", "web--west"} and sorted(found.values()) == [total // 2, total - total // 2]


async def test_one_cluster_is_no_special_case(upstream_server: EmbeddedServer, physical_server: EmbeddedServer) -> None:
    """D-8; and a cluster that comes takes its share."""
    async with working(upstream_server.create_cluster()) as world:
        await two_clusters(world, physical_server, "east")
        async with kubelets(*world.down.values()):
            await world.up.create(UP, root(3))
            await eventually(lambda: divided(world, east=3))
        await world.register("west", physical_server.create_cluster())
        async with kubelets(*world.down.values()):
            await eventually(lambda: _divided_evenly(world, 3))


@pytest.mark.slow
async def test_a_cluster_that_dies_is_replaced(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    with kcpfront.embedded(api_set="full") as mortal:
        async with working(upstream_server.create_cluster()) as world:
            await two_clusters(world, physical_server, "east", "north")
            await world.register("west", mortal.create_cluster())
            await eventually(lambda: world.is_ready("west"))
            async with kubelets(*world.down.values()):
                await world.up.create(UP, root(6))
                await eventually(lambda: divided(world, east=2, north=2, west=2))
                await asyncio.to_thread(mortal.stop)
                await eventually(lambda: divided(world, east=3, north=3))

            async def told() -> bool:
                events, _ = await world.up.list("/api/v1/namespaces/default/events")
                return any(each["reason"] == "FailedOver" for each in events)

            await eventually(told)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, True),
        ({"labels": {"kcp.dev/cluster": "east"}}, False),
        ({"labels": {"kcp.dev/owned-by": "web"}}, False),
        ({"ownerReferences": [{"controller": True}]}, False),
        ({"ownerReferences": [{"name": "x"}]}, True),
        ({"deletionTimestamp": "now"}, False),
    ],
)
def test_workloads(metadata: Object, expected: bool) -> None:
    assert is_workload({"metadata": {"name": "web", **metadata}}) is expected


POLICIES = "/apis/placement.kcp.dev/v1alpha1/namespaces/default/placementpolicies"


def policy(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "placement.kcp.dev/v1alpha1",
        "kind": "PlacementPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


async def test_a_policy_rules_its_namespace(upstream_server: EmbeddedServer, physical_server: EmbeddedServer) -> None:
    async with working(upstream_server.create_cluster()) as world:
        await two_clusters(world, physical_server, "east", "west")
        await world.up.create(POLICIES, policy("only", clusters={"names": ["west"]}))
        found = await eventually(lambda: world.condition(f"{POLICIES}/only", "Valid"))
        assert found["status"] == "True"
        async with kubelets(*world.down.values()):
            await world.up.create(UP, root(4))
            await eventually(lambda: divided(world, west=4))
            # weights, and what one cluster may have at most
            shares = [{"clusterSelector": {}, "maxReplicas": 3}]
            await world.up.merge(f"{POLICIES}/only", {"spec": {"clusters": None, "shares": shares}})
            await eventually(lambda: divided(world, west=2, east=2))
            await world.up.merge(f"{UP}/web", {"spec": {"replicas": 9}})
            placed = await eventually(lambda: _not_placed(world))
            assert placed["reason"] == "InsufficientClusters" and placed["message"].startswith(
                "3 replicas have no place"
            )
            assert await leafs(world) == {"web--east": 3, "web--west": 3}
            await world.up.delete(f"{POLICIES}/only")
            await eventually(lambda: _divided_evenly(world, 9))


async def _not_placed(world: World) -> Object | None:
    found = await world.condition(f"{UP}/web", "Placed")
    return found if found is not None and found["status"] == "False" else None


def widgets() -> Object:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.dev"},
        "spec": {
            "group": "example.dev",
            "names": {"plural": "widgets", "kind": "Widget"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


async def test_what_has_no_replicas_is_whole_in_each_cluster(
    upstream_server: EmbeddedServer, physical_server: EmbeddedServer
) -> None:
    """Where a policy names its kind; without one, nothing happens to it."""
    path = "/apis/example.dev/v1/namespaces/default/widgets"
    async with working(upstream_server.create_cluster()) as world:
        await world.define()
        for name in ("east", "west"):
            physical = physical_server.create_cluster()
            text = physical.kubeconfig.read_text()
            async with KubeClient(parse(text)) as below:
                await below.create(CRDS, widgets())
            await world.register(name, physical, kubeconfig=text, resources=["widgets.example.dev"])
        for name in ("east", "west"):
            await eventually(lambda name=name: world.is_ready(name))
        widget = {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 3}}
        await eventually(lambda: world.up.create(path, widget))
        await world.up.create(POLICIES, policy("both", resourceSelectors=[{"kind": "Widget"}]))

        async def everywhere(size: int) -> bool:
            sizes = []
            for name in ("east", "west"):
                found, _ = await world.down[name].list("/apis/example.dev/v1/widgets")
                sizes += [each["spec"]["size"] for each in found if each["metadata"]["name"] == f"w--{name}"]
            return sizes == [size, size]

        await eventually(lambda: everywhere(3))
        await world.up.merge(f"{path}/w", {"spec": {"size": 4}})
        await eventually(lambda: everywhere(4))
        # in one cluster only
        await world.up.merge(f"{POLICIES}/both", {"spec": {"mode": "Whole"}})

        async def copies() -> int:
            return len((await world.up.list(path))[0]) - 1

        await eventually(lambda: _is(copies, 1))


async def _is(count: Any, wanted: int) -> bool:
    return bool(await count() == wanted)


async def test_autoscalers(upstream_server: EmbeddedServer, physical_server: EmbeddedServer) -> None:
    """One upstream scales the whole; one in a physical cluster scales its part, and is left alone."""
    async with working(upstream_server.create_cluster()) as world:
        await two_clusters(world, physical_server, "east", "west")
        await world.up.create(UP, root(4))
        await eventually(lambda: divided(world, east=2, west=2))
        await world.up.merge(f"{UP}/web/scale", {"spec": {"replicas": 6}})
        await eventually(lambda: divided(world, east=3, west=3))

        async def below(name: str) -> Object | None:
            found, _ = await world.down[name].list(DEPLOYMENTS)
            return next((each for each in found if each["spec"]["replicas"] in (3, 7)), None)

        live = await eventually(lambda: below("east"))
        metadata = live["metadata"]
        path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}"
        query = {"fieldManager": "kube-controller-manager"}
        await world.down["east"].request("PATCH", f"{path}/scale", {"spec": {"replicas": 7}}, query, MERGE)
        template = {"spec": {"template": {"metadata": {"labels": {"more": "yes"}}}}}
        await world.up.merge(f"{UP}/web", template)

        async def carried() -> bool:
            found = await world.down["east"].get(path)
            return found is not None and "more" in found["spec"]["template"]["metadata"]["labels"]

        await eventually(carried)
        found = await world.down["east"].get(path)
        assert found is not None and found["spec"]["replicas"] == 7

"""What one cluster exports can be imported in the others of the logical cluster, and goes with what it is made of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.kube_client import KubeClient, resource_path
from kcpsyncer.kubeconfig import Access, parse
from kcpsyncer.namespace_mapping import Origin
from kcpsyncer.placed_objects import namespace_object
from kcpsyncer.services.definitions import definitions
from kcpsyncer.services.discovery import ServiceDiscovery
from tests.contracts.physical import CRDS, eventually, kubeconfig_of

Object = dict[str, Any]
EXPORTS = resource_path("multicluster.x-k8s.io", "v1alpha1", "serviceexports", "default")


class Set:
    """A logical cluster with two physical ones, east and west, that have its namespace."""

    def __init__(self, path: str, up: KubeClient) -> None:
        self.path, self.up = path, up
        self.discovery = ServiceDiscovery(path, up)
        self.down: dict[str, KubeClient] = {}
        self.access: dict[str, Access] = {}
        self.namespace = ""

    def at(self, group: str, version: str, plural: str, name: str = "") -> str:
        return resource_path(group, version, plural, self.namespace, name)

    async def import_of(self, where: str, name: str = "web") -> Object | None:
        return await self.down[where].get(self.at("multicluster.x-k8s.io", "v1alpha1", "serviceimports", name))

    async def slices(self, where: str) -> dict[str, list[str]]:
        """Addresses by source cluster."""
        path, label = self.at("discovery.k8s.io", "v1", "endpointslices"), "multicluster.kubernetes.io/source-cluster"
        found: dict[str, list[str]] = {}
        for each in (await self.down[where].list(path, {"labelSelector": label}))[0]:
            addresses = [address for one in each["endpoints"] for address in one["addresses"]]
            found.setdefault(each["metadata"]["labels"][label], []).extend(addresses)
        return found

    async def condition(self, kind: str, name: str = "web") -> Object:
        found = await self.up.get(f"{EXPORTS}/{name}")
        conditions = ((found or {}).get("status") or {}).get("conditions") or []
        return next((each for each in conditions if each["type"] == kind), {})

    async def serve(self, where: str, address: str, name: str = "web", **spec: Any) -> None:
        """A Service with one endpoint, as a cluster's controllers make it."""
        ports = spec.pop("ports", [{"name": "http", "port": 80}])
        await self.down[where].create(
            self.at("", "v1", "services"), {"metadata": {"name": name}, "spec": {"ports": ports, **spec}}
        )
        await self.down[where].create(
            self.at("discovery.k8s.io", "v1", "endpointslices"),
            {
                "metadata": {"name": f"{name}-abc", "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [address]}],
                "ports": [{"name": "http", "port": 8080}],
            },
        )

    async def export(self, name: str = "web") -> None:
        await self.up.create(
            EXPORTS,
            {
                "apiVersion": "multicluster.x-k8s.io/v1alpha1",
                "kind": "ServiceExport",
                "metadata": {"name": name, "namespace": "default"},
            },
        )

    def reach(self, name: str) -> None:
        self.discovery.reach(name, self.access[name])


@pytest.fixture
async def clusters(upstream_server: EmbeddedServer, physical_server: EmbeddedServer) -> AsyncIterator[Set]:
    upstream = upstream_server.create_cluster()
    async with contextlib.AsyncExitStack() as stack:
        up = await stack.enter_async_context(KubeClient(parse(kubeconfig_of(upstream))))
        made = Set(upstream.path, up)
        for definition in definitions():
            await up.create(CRDS, definition)
        default = await up.get("/api/v1/namespaces/default")
        assert default is not None
        below = namespace_object(Origin(upstream.path, default["metadata"]["uid"]), "default", "uid")
        made.namespace = below["metadata"]["name"]
        for name in ("east", "west"):
            made.access[name] = parse(kubeconfig_of(physical_server.create_cluster()))
            made.down[name] = await stack.enter_async_context(KubeClient(made.access[name]))
            await made.down[name].create("/api/v1/namespaces", below)
            made.reach(name)
        await eventually(lambda: up.list(EXPORTS))
        made.discovery.begin()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.discovery.run())
            yield made
            running.cancel()


async def test_a_service_of_one_cluster_is_importable_in_the_other(clusters: Set) -> None:
    await clusters.serve("east", "10.1.0.1")
    await clusters.export()
    found = await eventually(lambda: clusters.import_of("west"))
    assert found["spec"]["type"] == "ClusterSetIP"
    assert found["spec"]["ports"] == [{"name": "http", "port": 80, "protocol": "TCP"}]
    path = clusters.at("", "v1", "services")
    (derived,) = [
        each for each in (await clusters.down["west"].list(path))[0] if each["metadata"]["name"].startswith("derived-")
    ]
    assert found["spec"]["ips"] == [derived["spec"]["clusterIP"]]

    async def carried() -> bool:
        return await clusters.slices("west") == {"east": ["10.1.0.1"]}

    await eventually(carried)

    async def told() -> bool:
        above = await clusters.up.get(
            resource_path("multicluster.x-k8s.io", "v1alpha1", "serviceimports", "default", "web")
        )
        status = (above or {}).get("status")
        return (
            status == {"clusters": [{"cluster": "east"}]}
            and (await clusters.condition("Valid")).get("status") == "True"
        )

    await eventually(told)
    assert (await clusters.condition("Conflict"))["status"] == "False"


async def test_two_clusters_are_united_and_follow_their_endpoints(clusters: Set) -> None:
    await clusters.serve("east", "10.1.0.1")
    await clusters.export()
    await eventually(lambda: clusters.import_of("west"))
    await clusters.serve("west", "10.2.0.1", ports=[{"name": "http", "port": 80}, {"name": "dns", "port": 53}])

    async def united() -> bool:
        return await clusters.slices("east") == {"east": ["10.1.0.1"], "west": ["10.2.0.1"]}

    await eventually(united)
    found = await clusters.import_of("east")
    assert found is not None and [each["name"] for each in found["spec"]["ports"]] == ["http", "dns"]
    path = clusters.at("discovery.k8s.io", "v1", "endpointslices", "web-abc")
    await clusters.down["west"].merge(path, {"endpoints": [{"addresses": ["10.2.0.7"]}]})

    async def followed() -> bool:
        return (await clusters.slices("east"))["west"] == ["10.2.0.7"]

    await eventually(followed)
    clusters.discovery.reach("west", None)

    async def left() -> bool:
        return await clusters.slices("east") == {"east": ["10.1.0.1"]}

    await eventually(left)


async def test_what_clusters_disagree_about_is_told(clusters: Set) -> None:
    await clusters.serve("east", "10.1.0.1")
    await asyncio.sleep(1.1)  # times of creation have whole seconds, and the older one wins
    await clusters.serve("west", "10.2.0.1", sessionAffinity="ClientIP", ports=[{"name": "http", "port": 8080}])
    await clusters.export()

    async def in_conflict() -> bool:
        return (await clusters.condition("Conflict")).get("status") == "True"

    await eventually(in_conflict)
    told = await clusters.condition("Conflict")
    assert told["reason"] == "PortConflict" and "SessionAffinityConflict: west" in told["message"]
    found = await clusters.import_of("west")
    assert found is not None and (found["spec"]["ports"][0]["port"], found["spec"]["sessionAffinity"]) == (80, "None")


async def test_what_an_export_made_goes_with_it(clusters: Set) -> None:
    await clusters.export()

    async def missing() -> bool:
        return (await clusters.condition("Valid")).get("reason") == "NoService"

    await eventually(missing)
    await clusters.serve("east", "10.1.0.1")
    await eventually(lambda: clusters.import_of("west"))
    await clusters.up.delete(f"{EXPORTS}/web")

    async def gone() -> bool:
        services, _ = await clusters.down["west"].list(clusters.at("", "v1", "services"))
        return await clusters.import_of("west") is None and await clusters.slices("west") == {} and services == []

    await eventually(gone)
    assert (
        await clusters.up.get(resource_path("multicluster.x-k8s.io", "v1alpha1", "serviceimports", "default", "web"))
        is None
    )


async def test_somebody_elses_import_is_left_alone(clusters: Set) -> None:
    await clusters.down["west"].create(CRDS, definitions()[1])
    path = clusters.at("multicluster.x-k8s.io", "v1alpha1", "serviceimports")
    foreign = {
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ServiceImport",
        "metadata": {"name": "web", "labels": {"whose": "theirs"}},
        "spec": {"type": "Headless", "ports": []},
    }
    await eventually(lambda: clusters.down["west"].create(path, foreign))
    await clusters.serve("east", "10.1.0.1")
    await clusters.export()
    await eventually(lambda: clusters.import_of("east"))
    found = await clusters.import_of("west")
    assert found is not None and found["spec"]["type"] == "Headless"

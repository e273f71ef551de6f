"""Over a real stream to a shard of our own, and what paths mean."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpfront.embedding import EmbeddedServer
from kcpshard.rpc import shard_pb2 as pb
from kcpsyncer.definitions import definitions
from kcpsyncer.kube_client import Failure, KubeClient
from kcpsyncer.kubeconfig import parse
from kcpsyncer.stream.feed import Place
from kcpsyncer.stream.upstream import Shards, Type, Upstream, place_of
from tests.contracts.fed_upstream import FedUpstream
from tests.contracts.physical import CLUSTERS, CRDS, UP, deployment, eventually

DEPLOYMENTS = Type("apps", "v1", "deployments")
WEB = Place("deployments.apps", "default", "web")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api/v1/namespaces/a/events", ("", "v1", "a", "events", "", "")),
        ("/api/v1/namespaces", ("", "v1", "", "namespaces", "", "")),
        ("/apis/apps/v1/namespaces/a/deployments/web/status", ("apps", "v1", "a", "deployments", "web", "status")),
        ("/apis/cluster.example.dev/v1/clusters/c", ("cluster.example.dev", "v1", "", "clusters", "c", "")),
    ],
)
def test_paths(path: str, wanted: tuple[str, ...]) -> None:
    assert tuple(place_of(path).values()) == wanted


def test_no_path() -> None:
    with pytest.raises(ValueError, match="no path"):
        place_of("/version")


@contextlib.asynccontextmanager
async def connected(server: EmbeddedServer) -> AsyncIterator[tuple[Upstream, KubeClient]]:
    cluster = server.create_cluster()
    async with KubeClient(parse(cluster.kubeconfig.read_text())) as up:
        for made in definitions():
            await up.create(CRDS, made)
        body: dict[str, Any] = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "spec": {}}
        registered = await eventually(lambda: up.create(CLUSTERS, {**body, "metadata": {"name": "east"}}))
        agent = pb.SyncAgent(cluster=cluster.path, name="east", uid=registered["metadata"]["uid"])
        upstream = Upstream(agent, Shards((cluster.sync_address,)), "test")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(upstream.run())
            yield upstream, up
            running.cancel()


async def test_objects_down_status_up_and_nothing_else(physical_server: EmbeddedServer) -> None:
    async with connected(physical_server) as (upstream, up):
        changes: list[Place] = []
        upstream.listeners.append(lambda _path, place: changes.append(place))
        upstream.subscribe([DEPLOYMENTS])
        await upstream.wait_until_synced(DEPLOYMENTS)
        assert upstream.home is not None and upstream.home.incarnation
        await up.create(UP, deployment("web", "east"))

        async def came() -> Any:
            return upstream.get(WEB)

        found = await eventually(came)
        assert WEB in changes and upstream.places(["deployments.apps"]) == [WEB]
        await upstream.update(f"{UP}/web/status", {**found, "status": {"replicas": 2}})
        assert ((await up.get(f"{UP}/web")) or {})["status"]["replicas"] == 2
        with pytest.raises(Failure) as refused:
            await upstream.apply(f"{UP}/web", found)
        assert refused.value.code == 403 and "the agent of east may not" in str(refused.value)
        with pytest.raises(Failure) as refused:
            await upstream.delete("/api/v1/namespaces/default")
        assert refused.value.code == 403


async def test_a_type_is_synced_when_its_subscription_is_complete() -> None:
    upstream = FedUpstream()
    assert not upstream.is_synced()
    upstream.start()
    assert upstream.is_synced() and not upstream.is_synced(DEPLOYMENTS)
    upstream.subscribe([DEPLOYMENTS])
    upstream.received(upstream.stream, pb.SyncDownBatch(complete=1))  # an answer to the one before
    assert not upstream.is_synced(DEPLOYMENTS)
    upstream.received(upstream.stream, pb.SyncDownBatch(complete=2))
    await upstream.wait_until_synced(DEPLOYMENTS)

"""One agent per physical cluster: tells that it is alive, imports APIs, carries workloads. It only calls others.

What goes wrong with the physical cluster is told in the heartbeat; what goes wrong with one part never stops another.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kcpshard.rpc import shard_pb2 as pb
from kcpsyncer import capacity
from kcpsyncer.controllers.import_changes import import_changes
from kcpsyncer.foreign_apis import ForeignApis
from kcpsyncer.free_capacity import free
from kcpsyncer.imported_apis import CLUSTER_API_VERSION, GROUP, IMPORTS, VERSION
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.kubeconfig import Access
from kcpsyncer.stream.feed import Place
from kcpsyncer.stream.shard_stream import ShardStream
from kcpsyncer.stream.upstream import Upstream
from kcpsyncer.synchronisation import Synchronisation
from kcpsyncer.tunnels import Tunnels

_log = logging.getLogger(__name__)
Object = dict[str, Any]
NAMESPACE = "kcp-system"  # of the logical cluster where the Cluster is registered; holds the agents' leases
FAULT_ANNOTATION = "cluster.example.dev/fault"
SILENT = "the cluster does not answer"  # how a fault begins that means silence
LEFT_ANNOTATION = "cluster.example.dev/left"  # everything of ours is gone from the cluster
HEARTBEAT_S = 5.0
LEASE_S = 15
IMPORT_S = 20.0
CAPACITY_S = 30.0
LEAVING_S = 10.0
FIRST_RETRY_S = 1.0
_IMPORTS = f"{IMPORTS}.{GROUP}"
_OURS = Place("clusters.cluster.example.dev", "", "")


@dataclass(frozen=True)
class Registered:
    """The Cluster that an agent is for. `path`: the logical cluster where it is registered."""

    path: str
    name: str
    uid: str

    @property
    def metadata(self) -> Object:
        return {"metadata": {"name": self.name, "uid": self.uid}}


class Agent:
    """`run` until cancelled, with both clients open; `leave` removes everything of ours downstream.

    One that `calls` us from elsewhere finds out by itself that its Cluster is deregistered, and leaves.
    """

    def __init__(
        self,
        registered: Registered,
        upstream: Upstream,
        downstream: KubeClient,
        resources: Sequence[str],
        holder: str,
        calls: bool = False,
    ) -> None:
        self._calls, self._has_left = calls, False
        self._registered, self._resources, self._holder = registered, tuple(resources), holder
        self._upstream, self._downstream = upstream, downstream
        self._apis = ForeignApis(downstream)
        self._fault = ""  # of the physical cluster
        self._import_fault = ""
        self._sync = Synchronisation(registered.name, registered.uid, upstream, downstream)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tunnels = Tunnels(self._registered.name, self._registered.uid, self._downstream, tasks)
            self._upstream.on_batch = partial(_open_tunnels, tunnels)
            tasks.create_task(self._upstream.run())
            if not self._calls:
                await self._prepare()
            tasks.create_task(_forever(self._beat, HEARTBEAT_S, "heartbeat"))
            tasks.create_task(_forever(self._import, IMPORT_S, "import of APIs"))
            tasks.create_task(_forever(self._measure, CAPACITY_S, "capacity"))
            syncing = tasks.create_task(self._sync.run())
            if self._calls:
                await self._wait_for_the_end()
                syncing.cancel()
                tasks.create_task(_forever(self._depart, LEAVING_S, "departure"))

    async def leave(self) -> None:
        """Raises Failure if something of ours may be left."""
        await self._sync.remove_everything()

    async def _wait_for_the_end(self) -> None:
        gone = asyncio.Event()

        def look(_path: str, place: Place) -> None:
            metadata = (self._upstream.get(_OURS._replace(name=self._registered.name)) or {}).get("metadata") or {}
            if metadata.get("deletionTimestamp") and metadata.get("uid") == self._registered.uid:
                gone.set()

        self._upstream.listeners.append(look)
        await self._upstream.wait_until_synced()
        look("", _OURS)
        await gone.wait()

    async def _depart(self) -> None:
        if not self._has_left:
            await self.leave()
            self._has_left = True
            await self._beat()

    # --- heartbeat

    async def _prepare(self) -> None:
        """The namespace of the leases may be somebody else's doing."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        try:
            await self._upstream.create("/api/v1/namespaces", namespace)
        except Failure as failure:
            if failure.code != 409:
                _log.info("namespace %s: %s", NAMESPACE, failure)

    async def _beat(self) -> None:
        self._fault = await self._physical_fault()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._registered.name,
                "namespace": NAMESPACE,
                "annotations": {
                    FAULT_ANNOTATION: self._fault or self._import_fault,
                    LEFT_ANNOTATION: self._registered.uid if self._has_left else "",
                },
            },
            "spec": {"holderIdentity": self._holder, "leaseDurationSeconds": LEASE_S, "renewTime": now},
        }
        path = resource_path("coordination.k8s.io", "v1", "leases", NAMESPACE, self._registered.name)
        try:
            await self._upstream.apply(path, lease)
        except Failure as failure:
            if not failure.is_gone or self._calls:
                raise
            await self._prepare()

    async def _physical_fault(self) -> str:
        try:
            await self._downstream.request("GET", "/version")
        except Failure as failure:
            return f"{SILENT}: {failure}"
        return ""

    async def _measure(self) -> None:
        version = (await self._downstream.request("GET", "/version")).get("gitVersion") or ""
        nodes, _ = await self._downstream.list("/api/v1/nodes")
        status = {
            "version": version,
            "nodes": sum(capacity.is_usable(node) for node in nodes),
            "capacity": capacity.totals(nodes, "capacity"),
            "allocatable": capacity.totals(nodes, "allocatable"),
        }
        try:
            pods, _ = await self._downstream.list("/api/v1/pods")
            status["free"] = free(nodes, pods)
        except Failure as failure:
            if failure.code != 403:  # who gave us no right to see pods has placement do without
                raise
        obj = {
            "apiVersion": CLUSTER_API_VERSION,
            "kind": "Cluster",
            "metadata": {"name": self._registered.name, "uid": self._registered.uid},
            "status": status,
        }
        path = resource_path("cluster.example.dev", "v1alpha1", "clusters", "", self._registered.name)
        await self._upstream.apply(f"{path}/status", obj, manager="kcp-agent")

    # --- imports

    async def _import(self) -> None:
        try:
            apis = await self._apis.read(self._resources)
        except Failure as failure:
            self._import_fault = f"its APIs cannot be read: {failure}"
            return
        self._import_fault = ""
        path = resource_path(GROUP, VERSION, IMPORTS)
        await self._upstream.wait_until_synced()
        present = [found for each in self._upstream.places([_IMPORTS]) if (found := self._upstream.get(each))]
        changes = import_changes(apis, self._registered.metadata, present)
        for made in changes.create:
            await self._upstream.create(path, made)
        for changed in changes.update:
            await self._upstream.update(f"{path}/{changed['metadata']['name']}", changed)
        for gone in changes.delete:
            await self._upstream.delete(f"{path}/{gone['metadata']['name']}", gone["metadata"]["uid"])


def _open_tunnels(tunnels: Tunnels, stream: ShardStream, batch: pb.SyncDownBatch) -> None:
    for opening in batch.open_tunnels:
        tunnels.open(stream.channel, opening)


async def _forever(step: Any, period_s: float, what: str) -> None:
    """What fails is tried again soon, then ever more slowly up to its period."""
    said, retry_s = "", FIRST_RETRY_S
    while True:
        pause_s = min(retry_s, period_s)
        retry_s *= 2
        try:
            await step()
            said, retry_s, pause_s = "", FIRST_RETRY_S, period_s
        except Failure as failure:
            if str(failure) != said:
                said = str(failure)
                _log.warning("%s: %s", what, failure)
        except Exception:  # noqa: BLE001 - one part never stops another
            _log.exception("%s failed", what)
        await asyncio.sleep(pause_s)


def sync_agent(registered: Registered, holder: str) -> pb.SyncAgent:
    return pb.SyncAgent(cluster=registered.path, name=registered.name, uid=registered.uid, holder=holder)


def access_key(access: Access) -> tuple[str, ...]:
    """What an agent must be started anew for."""
    return (access.server, access.authority, access.token, access.certificate, access.key, access.server_name)

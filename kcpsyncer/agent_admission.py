"""Lets agents that call us in: their rights, their certificates, the secrets that objects placed on them refer to."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kcpshard.api.pod_references import Reference, references
from kcpshard.schema.pulled_apis import PulledApi
from kcpsyncer.controllers.agent_rights import (
    LEASE_NAMESPACE,
    agent_rights,
    asked_uid,
    bootstrap_rights,
    companion_rights,
    is_undecided,
    may_have,
    path_of,
    token_id,
)
from kcpsyncer.informer import Informer
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.placed_objects import PLACED
from kcpsyncer.work_queue import WorkQueue

_log = logging.getLogger(__name__)
Object = dict[str, Any]
_REQUESTS = resource_path("certificates.k8s.io", "v1", "certificatesigningrequests")


class _Placed(NamedTuple):
    """The objects of one type that are placed on one cluster."""

    informer: Informer
    task: asyncio.Task[None]


class AgentAdmission:
    """`run` until cancelled; `admit` and `forget` are called for each Cluster whose agent calls us."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._clusters: dict[str, Object] = {}
        self._written: dict[str, Object] = {}  # by path
        self._placed: dict[tuple[str, str], _Placed] = {}  # by Cluster and list path
        self._requests = Informer(client, _REQUESTS, self._request_changed)
        self._decisions: WorkQueue[str] = WorkQueue(self._decide)
        self._namespaces: WorkQueue[tuple[str, str]] = WorkQueue(self._grant_companions)  # Cluster, namespace
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._requests.run())
            tasks.create_task(self._decisions.run())
            await self._namespaces.run()

    async def admit(self, cluster: Object, synced: Sequence[PulledApi]) -> None:
        name = cluster["metadata"]["name"]
        if name not in self._clusters:
            await self._make_namespace()
        self._clusters[name] = cluster
        for right in (*bootstrap_rights(), *agent_rights(cluster, [api.group_resource for api in synced])):
            await self._write(right)
        self._follow(name, synced)
        for request in self._requests.objects:
            self._decisions.add(request[1])

    def forget(self, name: str) -> None:
        self._clusters.pop(name, None)
        for key in [key for key in self._placed if key[0] == name]:
            self._placed.pop(key).task.cancel()

    # --- certificates

    def _request_changed(self, _old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._decisions.add(new["metadata"]["name"])

    async def _decide(self, name: str) -> None:
        request = self._requests.get(name)
        if request is None or not is_undecided(request):
            return
        clusters = list(self._clusters.values())
        if not any(each["metadata"]["uid"] == asked_uid(request["spec"]) for each in clusters):
            return  # not for one of ours, or not yet
        id_ = token_id(request["spec"].get("username") or "")
        path = resource_path("", "v1", "secrets", "kube-system", f"bootstrap-token-{id_}")
        good = may_have(request, clusters, await self._client.get(path) if id_ else None)
        condition = {
            "type": "Approved" if good else "Denied",
            "status": "True",
            "reason": "KcpAgent",
            "message": "the agent of a registered Cluster" if good else "not asked for by that Cluster's agent",
            "lastUpdateTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        decided = {**request, "status": {**(request.get("status") or {}), "conditions": [condition]}}
        await self._client.update(f"{_REQUESTS}/{name}/approval", decided)
        _log.info("the certificate %s is %s", name, condition["type"].lower())

    # --- what placed objects refer to

    def _follow(self, name: str, synced: Sequence[PulledApi]) -> None:
        assert self._tasks is not None
        wanted = {
            (name, resource_path(api.group, api.version, api.plural)) for api in synced if api.scope == "Namespaced"
        }
        for key in [key for key in self._placed if key[0] == name and key not in wanted]:
            self._placed.pop(key).task.cancel()
        for key in wanted - self._placed.keys():

            def changed(old: Object | None, new: Object | None) -> None:
                self._namespaces.add((name, (new or old or {})["metadata"]["namespace"]))

            informer = Informer(self._client, key[1], changed, {"labelSelector": f"{PLACED}={name}"})
            self._placed[key] = _Placed(informer, self._tasks.create_task(informer.run()))

    async def _grant_companions(self, key: tuple[str, str]) -> None:
        name, namespace = key
        cluster = self._clusters.get(name)
        if cluster is None:
            return
        needed: set[Reference] = set()
        for (owner, _), placed in self._placed.items():
            if owner == name:
                for obj in placed.informer.objects.values():
                    if obj["metadata"]["namespace"] == namespace:
                        needed |= references(obj)
        if not needed and not any(namespace in path for path in self._written):
            return
        for right in companion_rights(cluster, namespace, needed):
            await self._write(right)

    # --- writing

    async def _write(self, obj: Object) -> None:
        path = path_of(obj)
        if self._written.get(path) != obj:
            try:
                await self._client.apply(path, obj)
            except Failure as failure:
                if failure.is_gone:  # the namespace is being deleted, and with it the need
                    return
                raise
            self._written[path] = obj

    async def _make_namespace(self) -> None:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": LEASE_NAMESPACE}}
        await self._client.apply(f"/api/v1/namespaces/{LEASE_NAMESPACE}", namespace)

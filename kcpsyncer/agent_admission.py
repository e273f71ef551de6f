"""Lets agents that call us in: their rights and certificates. What they may see and write is the shards' to say."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from kcpsyncer.controllers.agent_rights import (
    LEASE_NAMESPACE,
    agent_rights,
    asked_uid,
    bootstrap_rights,
    is_undecided,
    may_have,
    path_of,
    token_id,
)
from kcpsyncer.informer import Informer
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.work_queue import WorkQueue

_log = logging.getLogger(__name__)
Object = dict[str, Any]
_REQUESTS = resource_path("certificates.k8s.io", "v1", "certificatesigningrequests")


class AgentAdmission:
    """`run` until cancelled; `admit` and `forget` are called for each Cluster whose agent calls us."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._clusters: dict[str, Object] = {}
        self._written: dict[str, Object] = {}  # by path
        self._requests = Informer(client, _REQUESTS, self._request_changed)
        self._decisions: WorkQueue[str] = WorkQueue(self._decide)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._requests.run())
            await self._decisions.run()

    async def admit(self, cluster: Object) -> None:
        name = cluster["metadata"]["name"]
        if name not in self._clusters:
            await self._make_namespace()
        self._clusters[name] = cluster
        for right in (*bootstrap_rights(), *agent_rights(cluster)):
            await self._write(right)
        for request in self._requests.objects:
            self._decisions.add(request[1])

    def forget(self, name: str) -> None:
        self._clusters.pop(name, None)

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

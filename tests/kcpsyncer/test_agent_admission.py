"""An agent that is admitted may know its own Cluster; what asks in its name is decided."""

import asyncio
from typing import Any

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.agent_admission import AgentAdmission
from kcpsyncer.kube_client import KubeClient
from kcpsyncer.kubeconfig import parse
from tests.contracts.physical import eventually
from tests.kcpsyncer.controllers.test_agent_rights import request

ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kcp:syncer:east"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


async def test_rights_are_written_and_strangers_are_denied(physical_server: EmbeddedServer) -> None:
    access = parse(physical_server.create_cluster().kubeconfig.read_text())
    async with KubeClient(access) as client, asyncio.TaskGroup() as tasks:
        admission = AgentAdmission(client)
        running = tasks.create_task(admission.run())
        await admission.admit({"metadata": {"name": "east", "uid": "u1"}})
        assert await client.get(ROLE)
        asked: dict[str, Any] = request()["spec"]
        body = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "c"}}
        await client.create(REQUESTS, {**body, "spec": {k: v for k, v in asked.items() if k != "username"}})

        async def denied() -> bool:
            found = (await client.get(f"{REQUESTS}/c")) or {}
            return [c["type"] for c in (found.get("status") or {}).get("conditions") or ()] == ["Denied"]

        await eventually(denied)  # an administrator has no token of that Cluster
        admission.forget("east")
        running.cancel()

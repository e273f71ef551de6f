"""Rights follow what is placed: a secret may be read as long as something placed there refers to it."""

import asyncio
from typing import Any

from kcpfront.embedding import EmbeddedServer
from kcpshard.schema.pulled_apis import PulledApi
from kcpsyncer.agent_admission import AgentAdmission
from kcpsyncer.kube_client import KubeClient
from kcpsyncer.kubeconfig import parse
from tests.contracts.physical import eventually

ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles/kcp:syncer:east"
PODS = "/api/v1/namespaces/default/pods"
API = PulledApi("", "v1", "pods", "pod", "Pod", "PodList", "Namespaced", (), (), ("status",), {"type": "object"})


async def test_secrets_by_name(physical_server: EmbeddedServer) -> None:
    access = parse(physical_server.create_cluster().kubeconfig.read_text())
    async with KubeClient(access) as client, asyncio.TaskGroup() as tasks:
        admission = AgentAdmission(client)
        running = tasks.create_task(admission.run())
        await asyncio.sleep(0)
        await admission.admit({"metadata": {"name": "east", "uid": "u1"}}, [API])
        container = {"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "s"}}]}
        pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}
        pod["metadata"] = {"name": "p", "labels": {"kcp.dev/cluster": "east"}}
        await eventually(lambda: client.create(PODS, pod))

        async def names() -> Any:
            role = await client.get(ROLES)
            return [rule["resourceNames"] for rule in role["rules"] or ()] if role else None

        assert await eventually(names) == [["s"]]
        await client.delete(PODS + "/p")

        async def none() -> bool:
            return await names() == []

        await eventually(none)
        running.cancel()

from typing import Any

import pytest

from tests.contracts.api_client import JSON, MERGE, STRATEGIC
from tests.contracts.full_cluster import full_cluster

APPS = "/apis/apps/v1/namespaces/default"
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}}
WORKLOAD = {
    "metadata": {"name": "a"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE},
}
SET: dict[str, Any] = {**WORKLOAD, "spec": {**WORKLOAD["spec"], "serviceName": "x"}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("url", "document"),
    [
        pytest.param(f"{APPS}/deployments", WORKLOAD, id="deployment"),
        pytest.param(f"{APPS}/replicasets", WORKLOAD, id="replica set"),
        pytest.param(f"{APPS}/statefulsets", SET, id="stateful set"),
        pytest.param(
            "/api/v1/namespaces/default/replicationcontrollers",
            {"metadata": {"name": "a"}, "spec": {"replicas": 2, "template": TEMPLATE}},
            id="replication controller",
        ),
    ],
)
async def test_workloads_scale(url: str, document: Any) -> None:
    async with full_cluster() as client:
        await client.create(url, document)
        scale = await client.get(f"{url}/a/scale")
        assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 0, "selector": "app=a"})
        scale["spec"]["replicas"] = 3
        assert (await client.do("PUT", f"{url}/a/scale", scale)).json["spec"] == {"replicas": 3}
        await client.patch(f"{url}/a/scale", {"spec": {"replicas": 4}}, MERGE)
        await client.patch(f"{url}/a/scale", {"spec": {"replicas": 5}}, STRATEGIC)
        await client.patch(f"{url}/a/scale", [{"op": "replace", "path": "/spec/replicas", "value": 6}], JSON)
        found = await client.get(f"{url}/a")
        assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (6, 5)
        assert found["metadata"]["managedFields"][0]["subresource"] == "scale"


async def test_apply_owns_replicas_through_the_scale() -> None:
    async with full_cluster() as client:
        await client.create(f"{APPS}/deployments", WORKLOAD)
        scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 9}}
        url, apply = f"{APPS}/deployments/a/scale?fieldManager=m", "application/apply-patch+yaml"
        refused = await client.do("PATCH", url, scale, apply)
        assert (refused.code, refused.json["details"]["causes"][0]["field"]) == (409, ".spec.replicas")
        assert (await client.do("PATCH", f"{url}&force=true", scale, apply)).json["spec"] == {"replicas": 9}
        again = await client.do("PATCH", url, scale | {"spec": {"replicas": 8}}, apply)
        assert (again.code, again.json["spec"]) == (200, {"replicas": 8})

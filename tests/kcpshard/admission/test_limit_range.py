from typing import Any

import pytest

from kcpshard.admission.attributes import Attributes
from kcpshard.admission.limit_range import check, default
from kcpshard.api.errors import Forbidden
from kcpshard.definitions.builtin import builtin_resources
from tests.contracts.api_client import ApiClient, memory_shard

RESOURCES = {r.group_resource: r for r in builtin_resources("full")}


async def attributes(obj: Any, kept_as: str = "pods", operation: str = "CREATE", **limit: Any) -> Attributes:
    client = ApiClient(memory_shard())
    document = {"metadata": {"name": "l"}, "spec": {"limits": [limit]}}
    await client.create("/api/v1/namespaces/default/limitranges", document)
    store = client.shard.store
    cluster = store.pending_cluster("root")
    resource = RESOURCES[kept_as]
    return Attributes(operation, store, cluster, resource, "", "default", "p", obj, None, b"", False)


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers), **spec}}


def container(requests: Any = None, limits: Any = None) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": requests or {}, "limits": limits or {}}}


def faults(found: Attributes) -> str:
    try:
        check(found)
    except Forbidden as refusal:
        return refusal.message.removeprefix('pods "p" is forbidden: ')
    return ""


async def test_containers_get_what_they_do_not_name() -> None:
    obj = pod(container({"cpu": "1"}), initContainers=[{"name": "i"}])
    found = await attributes(
        obj, type="Container", default={"cpu": "2", "memory": "2Gi"}, defaultRequest={"cpu": "1", "memory": "1Gi"}
    )
    default(found)
    first, init = obj["spec"]["containers"][0], obj["spec"]["initContainers"][0]
    assert first["resources"] == {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    assert init["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert obj["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: memory request for container c; cpu, memory limit for "
        "container c; cpu, memory request for init container i; cpu, memory limit for init container i"
    }


@pytest.mark.parametrize(
    ("given", "limit", "expected"),
    [
        (container({"cpu": "1"}), {"min": {"cpu": "500m"}}, ""),
        (
            container({"cpu": "100m"}),
            {"min": {"cpu": "500m"}},
            "minimum cpu usage per Container is 500m, but request is 100m",
        ),
        (container(), {"min": {"cpu": "1"}}, "minimum cpu usage per Container is 1.  No request is specified"),
        (
            container({"cpu": "1"}, {"cpu": "3"}),
            {"max": {"cpu": "2", "memory": "1Gi"}},
            "[maximum cpu usage per Container is 2, but limit is 3, "
            "maximum memory usage per Container is 1Gi.  No limit is specified]",
        ),
        (
            container({"cpu": "1"}, {"cpu": "3"}),
            {"maxLimitRequestRatio": {"cpu": "2"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
    ],
)
async def test_containers_stay_within_bounds(given: Any, limit: Any, expected: str) -> None:
    found = await attributes(pod(given), type="Container", **limit)
    assert expected in faults(found) if expected else not faults(found)


async def test_a_pod_is_judged_as_a_whole() -> None:
    two = [container({"cpu": "1"}, {"cpu": "1"}), container({"cpu": "1"}, {"cpu": "1"})]
    found = await attributes(pod(*two), type="Pod", max={"cpu": "1500m"})
    assert faults(found) == "maximum cpu usage per Pod is 1500m, but limit is 2"
    assert not faults(await attributes(pod(*two), operation="UPDATE", type="Pod", max={"cpu": "1500m"}))


async def test_claims_have_bounds_too() -> None:
    claim = {"metadata": {}, "spec": {"resources": {"requests": {"storage": "3Gi"}}}}
    limit = {"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}, "min": {"storage": "1Gi"}}
    found = await attributes(claim, "persistentvolumeclaims", **limit)
    with pytest.raises(Forbidden, match="maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"):
        check(found)


async def test_other_types_are_not_looked_at() -> None:
    found = await attributes({"metadata": {}}, "configmaps", type="Container", min={"cpu": "1"})
    default(found)
    check(found)

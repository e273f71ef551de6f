import asyncio

from kcpshard.tenancy.bound_apis import read_binding
from kcpshard.tenancy.exports import BINDINGS, ExportReference
from tests.contracts.api_client import CONFIGMAPS, configmap
from tests.contracts.shared_apis import ACCEPTED, CLAIM, SharedApis, shared

__all__ = ["shared"]
BOUND = {
    "metadata": {"name": "b"},
    "spec": {"reference": {"export": {"name": "e"}}},
    "status": {
        "phase": "Bound",
        "boundResources": [{"group": "g", "resource": "r"}],
        "appliedPermissionClaims": [
            {"group": "", "resource": "configmaps", "verbs": ["get"], "selector": {"matchLabels": {"a": "b"}}},
            {"resource": "secrets", "verbs": ["*"], "selector": {"matchAll": True}},
            {"resource": "services", "verbs": ["*"], "selector": {"matchExpressions": [{"key": "a", "operator": "?"}]}},
        ],
    },
}


def test_what_is_bound_and_accepted() -> None:
    found = read_binding(BOUND, "root:here")
    assert found is not None and found.export == ExportReference("root:here", "e")
    assert found.types == {("g", "r")}
    maps, secrets = found.claims["", "configmaps"], found.claims["", "secrets"]
    assert maps.allows("get") and not maps.allows("list") and secrets.allows("delete")
    assert maps.labels is not None and maps.labels.matches({"a": "b"}) and not maps.labels.matches({})
    assert secrets.labels is None
    unreadable = found.claims["", "services"].labels
    assert unreadable is not None and not unreadable.matches({"a": "b"})


def test_nothing_before_it_is_bound() -> None:
    assert read_binding({**BOUND, "status": {"phase": "Binding"}}, "root") is None


async def test_it_follows_the_bindings_of_a_logical_cluster(shared: SharedApis) -> None:
    await shared.publish(permissionClaims=[CLAIM])
    await shared.bind(claims=[ACCEPTED])
    shard = shared.consumer.shard
    cluster = shard.store.find_cluster("consumer")
    assert cluster is not None
    found = shard.bound.through(cluster, ExportReference("exporter", "widgets"))
    assert found is not None and found is shard.bound.of_type(cluster, ("example.com", "widgets"))
    assert shard.bound.of_type(cluster, ("", "configmaps")) is None
    await shared.consumer.do("DELETE", "/apis/apis.kcp.io/v1alpha2/apibindings/widgets")
    async with asyncio.timeout(60):
        while shard.store.pending(cluster, BINDINGS, "", "widgets") is not None:
            await asyncio.sleep(0.005)
    await shared.consumer.create(CONFIGMAPS, configmap("later"))  # durable after the deletion
    assert shard.bound.bindings(cluster) == ()

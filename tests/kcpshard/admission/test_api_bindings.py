"""Who may bind what, with the exporter here and on another shard."""

from kcpshard.api.requests import Identity
from tests.contracts.api_client import ApiClient
from tests.contracts.shared_apis import BINDINGS, SharedApis, binding, shared
from tests.contracts.workspace_tree import RBAC
from tests.contracts.workspace_tree import binding as role_binding

__all__ = ["shared"]
ANN = Identity("ann", "", ("system:authenticated",))


async def allow(client: ApiClient, verbs: list[str], resources: list[str], name: str) -> None:
    rule = {"apiGroups": ["apis.kcp.io"], "resources": resources, "verbs": verbs}
    role = {"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    await client.create(f"{RBAC}/clusterroles", {**role, "rules": [rule]})
    await client.create(f"{RBAC}/clusterrolebindings", role_binding(name, name, "ann"))


async def test_the_right_to_bind_is_the_exporters_to_give(shared: SharedApis) -> None:
    await shared.publish()
    await allow(shared.consumer, ["*"], ["apibindings"], "binds")
    ann = ApiClient(shared.consumer.shard, "consumer", ANN)
    refused = await ann.do("POST", BINDINGS, binding())
    assert refused.code == 403 and "no permission to bind to export exporter:widgets" in refused.message
    await allow(shared.exporter, ["bind"], ["apiexports"], "may-be-bound")
    shared.consumer.shard.directory._kept.clear()
    made = await ann.create(BINDINGS, binding())
    assert made["metadata"]["finalizers"] == ["apis.kcp.io/apibinding-finalizer"]


async def test_the_finalizer_stays(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    cluster = shared.consumer.shard.store.find_cluster("consumer")
    assert cluster is not None
    chief = Identity("chief", "", ("system:masters",), {}, cluster.id)
    there = ApiClient(shared.consumer.shard, "consumer", chief)
    change = {"metadata": {"finalizers": None}}
    reply = await there.do("PATCH", f"{BINDINGS}/widgets", change, "application/merge-patch+json")
    assert reply.code == 403 and "finalizer" in reply.message


async def test_what_is_bound_is_not_changed_to_something_else(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    change = {"spec": {"reference": {"export": {"name": "others"}}}}
    reply = await shared.consumer.do("PATCH", f"{BINDINGS}/widgets", change, "application/merge-patch+json")
    assert reply.code == 422 and "must not be changed" in reply.message

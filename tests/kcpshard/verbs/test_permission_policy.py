"""The exporter's bounds on what its binders may do, with both on one shard and on two."""

import asyncio

from kcpshard.api.requests import Identity
from tests.contracts.api_client import ApiClient
from tests.contracts.shared_apis import WIDGETS, SharedApis, shared, widget
from tests.contracts.watch_tier import Reader
from tests.contracts.workspace_tree import RBAC
from tests.contracts.workspace_tree import binding as role_binding

__all__ = ["shared"]


async def allow(client: ApiClient, user: str, name: str, *verbs: str) -> None:
    rule = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": list(verbs)}
    role = {"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    await client.create(f"{RBAC}/clusterroles", {**role, "rules": [rule]})
    await client.create(f"{RBAC}/clusterrolebindings", role_binding(name, name, user))


async def test_the_exporter_bounds_whoever_is_no_administrator_of_the_installation(shared: SharedApis) -> None:
    await shared.publish(maximalPermissionPolicy={"local": {}})
    await shared.bind()
    cluster = shared.consumer.shard.store.find_cluster("consumer")
    assert cluster is not None
    chief = Identity("chief", "", ("system:masters", "system:authenticated"), {}, cluster.id)
    there = ApiClient(shared.consumer.shard, "consumer", chief)
    refused = await there.do("GET", WIDGETS)
    assert refused.code == 403 and "maximal permission policy" in refused.message
    assert (await shared.tier.list("/apis/example.com/v1/widgets", identity=chief))["items"] == []
    await allow(shared.exporter, "apis.kcp.io:binding:chief", "reads", "get", "list", "watch")
    shared.consumer.shard.directory._kept.clear()
    assert (await there.do("GET", WIDGETS)).code == 200
    assert (await there.do("POST", WIDGETS, widget())).code == 403
    await shared.consumer.create(WIDGETS, widget())
    reader = Reader()
    shared.tier.start(reader, "consumer", chief, group="example.com", resource="widgets", initial=True)
    async with asyncio.timeout(60):
        while "ADDED w" not in reader.log:
            await asyncio.sleep(0.002)


async def test_without_a_policy_nobody_is_asked(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    await allow(shared.consumer, "ann", "all", "*")
    ann = ApiClient(shared.consumer.shard, "consumer", Identity("ann", "", ("system:authenticated",)))
    assert (await ann.create(WIDGETS, widget()))["metadata"]["name"] == "w"

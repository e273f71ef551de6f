from kcpshard.controllers.resource_types import ResourceTypes
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap
from tests.contracts.api_client import memory_shard as shard


async def test_builtin_types_by_key_and_by_kind() -> None:
    client = ApiClient(shard())
    await client.create(CONFIGMAPS, configmap("a"))
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None
    types = ResourceTypes(client.shard.catalog)
    found = types.stored_as(cluster, "leases.coordination.k8s.io")
    assert found is not None and found.kind == "Lease"
    assert types.of_kind(cluster, "coordination.k8s.io/v1", "Lease") is found
    assert types.of_kind(cluster, "x.com/v1", "Lease") is None
    assert types.stored_as(cluster, "xs.x.com") is None
    stored = [r.group_resource for r in types.stored(cluster)]
    assert len(stored) == len(set(stored)) and "events" in stored

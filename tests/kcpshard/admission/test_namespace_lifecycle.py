import pytest

from kcpshard.admission.attributes import Attributes
from kcpshard.admission.namespace_lifecycle import IMMORTAL, admit
from kcpshard.api.errors import ApiError
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, configmap, memory_shard


def attributes(client: ApiClient, operation: str, resource: str, namespace: str, name: str) -> Attributes:
    shard = client.shard
    found = shard.catalog.find(None, "", "v1", resource)
    assert found is not None
    cluster = shard.store.pending_cluster("root")
    return Attributes(operation, shard.store, cluster, found, "", namespace, name, {}, None, b"", False)


def refusal(found: Attributes) -> int:
    try:
        admit(found)
    except ApiError as error:
        return error.code
    return 0


@pytest.mark.parametrize("born", [False, True])
async def test_namespaces_must_exist(born: bool) -> None:
    client = ApiClient(memory_shard())
    if born:
        await client.create(CONFIGMAPS, configmap("a"))
    assert refusal(attributes(client, "CREATE", "configmaps", "default", "a")) == 0
    assert refusal(attributes(client, "CREATE", "configmaps", "nope", "a")) == 404
    assert refusal(attributes(client, "UPDATE", "configmaps", "nope", "a")) == 0
    assert refusal(attributes(client, "CREATE", "namespaces", "", "a")) == 0
    await client.shard.store.close()


async def test_nothing_new_in_a_terminating_namespace() -> None:
    client = ApiClient(memory_shard())
    await client.create(CONFIGMAPS, configmap("a"))
    await client.patch("/api/v1/namespaces/default", {"metadata": {"labels": {"x": "y"}}}, MERGE)
    assert refusal(attributes(client, "CREATE", "configmaps", "default", "b")) == 0
    await client.create("/api/v1/namespaces", {"metadata": {"name": "one"}})
    await client.do("DELETE", "/api/v1/namespaces/one")
    assert refusal(attributes(client, "CREATE", "configmaps", "one", "b")) == 403
    assert refusal(attributes(client, "DELETE", "configmaps", "one", "b")) == 0
    await client.shard.store.close()


@pytest.mark.parametrize("name", sorted(IMMORTAL))
async def test_immortal_namespaces(name: str) -> None:
    client = ApiClient(memory_shard())
    assert refusal(attributes(client, "DELETE", "namespaces", "", name)) == 403
    assert refusal(attributes(client, "DELETE", "configmaps", "default", name)) == 0
    await client.shard.store.close()

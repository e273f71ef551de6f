import asyncio
from collections.abc import Mapping
from typing import Any

from kcpshard.authorization.loading import Loading
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap


async def test_objects_come_in_slices_and_whoever_waits_is_called(client: ApiClient) -> None:
    for number in range(300):
        await client.create(CONFIGMAPS, configmap(f"c{number:03}"))
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None
    found: list[str] = []

    def put(group_resource: str, namespace: str, name: str, obj: Mapping[str, Any] | None) -> None:
        assert obj is not None and obj["metadata"]["name"] == name
        found.append(name)

    loading, done = Loading(client.shard.store, cluster, ["configmaps"], put), asyncio.Event()
    assert not loading.read() and 0 < len(found) < 300
    loading.when_durable(done.set)
    loading.go_on()
    await done.wait()
    assert sum(name.startswith("c") for name in found) == 300 and len(set(found)) == len(found)

from typing import Any

import pytest

from kcpshard.api.events import Change, EventType
from kcpshard.controllers.flow_schema_status import FlowSchemaStatus
from kcpshard.flowcontrol.flows import LEVELS, SCHEMAS
from kcpshard.storage.contract import LogicalCluster
from tests.contracts.api_client import ApiClient, memory_shard

API = "/apis/flowcontrol.apiserver.k8s.io/v1"


async def made(client: ApiClient) -> LogicalCluster:
    spec = {"priorityLevelConfiguration": {"name": "later"}, "rules": []}
    await client.create(f"{API}/flowschemas", {"metadata": {"name": "s"}, "spec": spec})
    cluster = client.shard.store.find_cluster(client.cluster)
    assert cluster is not None
    return cluster


async def dangling(client: ApiClient) -> Any:
    found = (await client.get(f"{API}/flowschemas/s"))["status"]["conditions"]
    return [(each["status"], each["reason"], each["message"].partition(" named ")[2]) for each in found]


async def test_a_schema_dangles_until_its_level_is_there() -> None:
    client = ApiClient(memory_shard(api_set="full"))
    cluster = await made(client)
    controller = FlowSchemaStatus(client.shard)
    await controller.reconcile(cluster, (SCHEMAS, "s"))
    assert await dangling(client) == [("True", "NotFound", '"later" but there is no such object')]
    limited = {"limitResponse": {"type": "Reject"}}
    level = {"metadata": {"name": "later"}, "spec": {"type": "Limited", "limited": limited}}
    await client.create(f"{API}/prioritylevelconfigurations", level)
    await controller.reconcile(cluster, (LEVELS, "later"))
    assert await dangling(client) == [("False", "Found", '"later" and it exists')]
    before = await client.get(f"{API}/flowschemas/s")
    await controller.reconcile(cluster, (LEVELS, "later"))
    await controller.reconcile(cluster, (SCHEMAS, "gone"))
    assert await client.get(f"{API}/flowschemas/s") == before, "nothing is written twice"
    await client.do("DELETE", f"{API}/prioritylevelconfigurations/later")
    await controller.reconcile(cluster, (LEVELS, "later"))
    assert (await dangling(client))[0][0] == "True"


async def test_what_is_born_right_is_true() -> None:
    client = ApiClient(memory_shard(api_set="full"))
    cluster = await made(client)
    controller = FlowSchemaStatus(client.shard)
    before = await client.get(f"{API}/flowschemas/catch-all")
    await controller.reconcile(cluster, (SCHEMAS, "catch-all"))
    assert await client.get(f"{API}/flowschemas/catch-all") == before


@pytest.mark.parametrize(
    ("kind", "type_", "revision", "concerned"),
    [
        (SCHEMAS, EventType.ADDED, 9, True),
        (SCHEMAS, EventType.MODIFIED, 9, True),
        (SCHEMAS, EventType.DELETED, 9, False),
        (SCHEMAS, EventType.ADDED, 5, False),
        (LEVELS, EventType.ADDED, 9, True),
        (LEVELS, EventType.MODIFIED, 9, False),
        (LEVELS, EventType.DELETED, 9, True),
        ("configmaps", EventType.ADDED, 9, False),
    ],
)
def test_what_may_matter(kind: str, type_: EventType, revision: int, concerned: bool) -> None:
    change = Change(type_, revision, kind, "", "x", b"", None)
    assert FlowSchemaStatus(memory_shard()).see(5, change) == (((kind, "x"),) if concerned else ())

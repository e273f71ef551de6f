import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from kcp.certificates import make_authority, now_utc
from kcpshard.placement import tenant_authorities
from kcpshard.placement.tenant_authorities import TenantAuthorities
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.api_client import MERGE, ApiClient, memory_shard

PLACE = "/api/v1/namespaces/kube-system/configmaps"
PEMS = [make_authority(f"ca {number}", now_utc()).certificate.decode() for number in range(3)]


def registration(pem: str) -> dict[str, Any]:
    return {"metadata": {"name": "kcp-client-ca"}, "data": {"client-ca-file": pem}}


@pytest.fixture
def client() -> ApiClient:
    return ApiClient(memory_shard())


def told(batch: pb.AuthorityBatch) -> dict[str, str]:
    return {each.cluster: each.certificates.decode() for each in batch.authorities}


async def next_of(batches: AsyncGenerator[pb.AuthorityBatch, None]) -> pb.AuthorityBatch:
    async with asyncio.timeout(60):
        return await anext(batches)


async def test_a_follower_is_told_all_and_then_each_change(client: ApiClient) -> None:
    shard = client.shard
    other = ApiClient(shard, "other")
    await client.create(PLACE, registration(PEMS[0]))
    moved: set[str] = set()
    found = TenantAuthorities(shard.store, lambda path: path not in moved)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(found.run())
        batches = found.follow()
        first = await next_of(batches)
        assert first.complete
        assert told(first) == {"root": PEMS[0]}
        cluster = shard.store.pending_cluster("root")
        assert cluster is not None
        assert first.authorities[0].cluster_id == cluster.id
        await other.create(PLACE, registration(PEMS[1]))
        assert told(await next_of(batches)) == {"other": PEMS[1]}
        await client.patch(f"{PLACE}/kcp-client-ca", {"data": {"client-ca-file": PEMS[2]}}, MERGE)
        await client.create(PLACE, {"metadata": {"name": "other"}})
        assert told(await next_of(batches)) == {"root": PEMS[2]}
        moved.add("other")
        found.look_again()
        assert told(await next_of(batches)) == {"other": ""}
        moved.clear()
        found.look_again()
        assert told(await next_of(batches)) == {"other": PEMS[1]}
        await client.do("DELETE", f"{PLACE}/kcp-client-ca")
        assert told(await next_of(batches)) == {"root": ""}
        assert len(found) == 1
        found.close()
        assert [batch async for batch in batches] == []
        running.cancel()


async def test_many_come_in_several_batches(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenant_authorities, "_BATCH_BYTES", 1000)
    for number in range(3):
        await ApiClient(client.shard, f"c-{number}").create(PLACE, registration(PEMS[number]))
    found = TenantAuthorities(client.shard.store, lambda _path: True)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(found.run())
        batches = found.follow()
        seen = [await next_of(batches) for _ in range(3)]
        assert [batch.complete for batch in seen] == [False, False, True]
        assert {path for batch in seen for path in told(batch)} == {f"c-{number}" for number in range(3)}
        await batches.aclose()
        running.cancel()

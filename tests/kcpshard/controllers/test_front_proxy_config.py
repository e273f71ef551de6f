import json
from collections.abc import AsyncIterator

import pytest

from kcpshard.controllers.front_proxy_config import FrontProxyConfig
from kcpshard.credentials.keys import FRONT_PROXY, KeyRing, make_key
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.api_client import ApiClient, memory_shard

URL = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    await found.create("/api/v1/namespaces", {"metadata": {"name": "x"}})
    yield found
    await found.shard.store.close()


def take(ring: KeyRing) -> None:
    made = make_key(FRONT_PROXY, 1_796_000_000_000_000)
    ring.take([pb.SigningKey(id=made.id, purpose=FRONT_PROXY, certificate=made.certificate)])


async def test_it_says_what_is_true_now_and_keeps_what_others_added(client: ApiClient) -> None:
    cluster = client.shard.store.find_cluster(client.cluster)
    assert cluster is not None
    ring = KeyRing()
    config = FrontProxyConfig(client.shard, ring)
    await config.keep(cluster)
    assert (await client.do("GET", URL)).code == 404  # no authority yet
    take(ring)
    await config.keep(cluster)
    data = (await client.get(URL))["data"]
    assert json.loads(data["requestheader-allowed-names"]) == [f"front-proxy-client-{cluster.id}"]
    assert data["requestheader-client-ca-file"] == ring.front_proxy_authorities.decode()
    assert "client-ca-file" not in data
    await client.patch(URL, {"data": {"mine": "1", "requestheader-allowed-names": "[]"}})
    take(ring)
    await config.keep(cluster)
    assert (await client.get(URL))["data"] == {**config.data(cluster.id), "mine": "1"}
    before = (await client.get(URL))["metadata"]["resourceVersion"]
    await config.keep(cluster)
    assert (await client.get(URL))["metadata"]["resourceVersion"] == before

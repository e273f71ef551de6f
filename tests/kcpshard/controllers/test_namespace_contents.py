from collections.abc import AsyncIterator

import pytest

from kcpshard.controllers.namespace_contents import root_certificates, service_accounts
from kcpshard.verbs.namespace_contents import NamespaceContents
from tests.contracts.api_client import ApiClient, memory_shard
from tests.kcpshard.controllers.running import idle, running

ACCOUNT = "/api/v1/namespaces/one/serviceaccounts/default"
CERTIFICATE = "/api/v1/namespaces/one/configmaps/kube-root-ca.crt"
MAKE = (lambda r: service_accounts(r._shard), lambda r: root_certificates(r._shard))


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    found.shard.contents = NamespaceContents(True, "CA")
    yield found
    await found.shard.store.close()


async def one(client: ApiClient) -> None:
    await client.create("/api/v1/namespaces", {"metadata": {"name": "one"}})


async def test_what_is_deleted_comes_back(client: ApiClient) -> None:
    async with running(client.shard, MAKE) as runner:
        await one(client)
        old = await client.get(ACCOUNT)
        for url in (ACCOUNT, CERTIFICATE):
            assert (await client.do("DELETE", url)).code == 200
        await idle(runner)
        assert (await client.get(ACCOUNT))["metadata"]["uid"] != old["metadata"]["uid"]
        assert (await client.get(CERTIFICATE))["data"] == {"ca.crt": "CA"}


async def test_a_changed_certificate_is_put_right_and_other_members_stay(client: ApiClient) -> None:
    async with running(client.shard, MAKE) as runner:
        await one(client)
        await client.patch(CERTIFICATE, {"data": {"ca.crt": "", "more": "x"}, "metadata": {"labels": {"a": "b"}}})
        await client.patch(ACCOUNT, {"secrets": [{"name": "s"}]})
        await idle(runner)
        found = await client.get(CERTIFICATE)
        assert found["data"] == {"ca.crt": "CA"} and found["metadata"]["labels"] == {"a": "b"}
        assert (await client.get(ACCOUNT))["secrets"] == [{"name": "s"}]


async def test_namespaces_from_before_are_furnished_at_the_start(client: ApiClient) -> None:
    client.shard.contents = NamespaceContents()
    await one(client)
    assert (await client.do("GET", ACCOUNT)).code == 404
    client.shard.contents = NamespaceContents(True, "CA")
    async with running(client.shard, MAKE) as runner:
        await idle(runner)
        assert (await client.get(ACCOUNT))["metadata"]["name"] == "default"
        assert (await client.get(CERTIFICATE))["data"] == {"ca.crt": "CA"}


async def test_nothing_is_put_into_a_namespace_that_goes(client: ApiClient) -> None:
    async with running(client.shard, MAKE) as runner:
        await one(client)
        await client.do("DELETE", "/api/v1/namespaces/one")
        await client.do("DELETE", ACCOUNT)
        await idle(runner)
        assert (await client.do("GET", ACCOUNT)).code == 404

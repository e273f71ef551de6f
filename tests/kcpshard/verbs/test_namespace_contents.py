from kcpshard.verbs.namespace_contents import NamespaceContents
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap


async def test_a_namespace_is_born_with_its_account_and_certificate_in_one_commit(client: ApiClient) -> None:
    client.shard.contents = NamespaceContents(True, "CA")
    await client.create("/api/v1/namespaces", {"metadata": {"name": "one"}})
    found = [await client.get(f"/api/v1/namespaces/one/{path}") for path in ("serviceaccounts/default",)]
    found.append(await client.get("/api/v1/namespaces/one/configmaps/kube-root-ca.crt"))
    namespace = await client.get("/api/v1/namespaces/one")
    assert {f["metadata"]["resourceVersion"] for f in found} == {namespace["metadata"]["resourceVersion"]}
    assert found[0]["metadata"]["uid"] != found[1]["metadata"]["uid"]
    assert found[1]["data"] == {"ca.crt": "CA"}


async def test_the_first_namespaces_have_them_too(client: ApiClient) -> None:
    client.shard.contents = NamespaceContents(True, "")
    await client.create(CONFIGMAPS, configmap("a"))
    accounts = await client.get("/api/v1/serviceaccounts")
    assert [a["metadata"]["namespace"] for a in accounts["items"]] == ["default", "kube-public", "kube-system"]
    assert (await client.do("GET", "/api/v1/configmaps")).names == ["a"]


async def test_a_dry_run_leaves_nothing(client: ApiClient) -> None:
    client.shard.contents = NamespaceContents(True, "CA")
    await client.create(CONFIGMAPS, configmap("a"))
    await client.do("POST", "/api/v1/namespaces?dryRun=All", {"metadata": {"name": "one"}})
    assert (await client.do("GET", "/api/v1/namespaces/one/serviceaccounts")).names == []

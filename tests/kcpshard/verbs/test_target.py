import pytest

from kcpshard.api.errors import NotFound
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.target import find_target
from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, configmap


class Nothing:
    def check(self, path: str) -> None:
        raise NotOwned(2)


async def test_ownership_comes_first(client: ApiClient) -> None:
    client.shard.ownership = Nothing()
    with pytest.raises(NotOwned) as caught:
        find_target(client.shard, client.request("GET", "/api/v1/nonsense"), "list", pending=False)
    assert caught.value.moved_to == 2


@pytest.mark.parametrize(
    ("cluster", "method", "url", "code"),
    [
        pytest.param("root", "GET", CONFIGMAPS, 200, id="unborn reads as empty"),
        pytest.param("root:org", "GET", CONFIGMAPS, 404, id="unborn below another"),
        pytest.param("system:shards", "GET", CONFIGMAPS, 403, id="the installation's own"),
        pytest.param("root", "GET", "/api/v1/nonsense", 404, id="unknown resource"),
        pytest.param("root", "GET", "/apis/example.com/v1/things", 404, id="unknown group"),
        pytest.param("root", "GET", "/api/v1/namespaces/default/namespaces", 404, id="cluster scope in a namespace"),
        pytest.param("root", "PATCH", CONFIGMAPS + "/a/status", 404, id="unknown subresource"),
        pytest.param("root", "PATCH", "/api/v1/namespaces/default/finalize", 405, id="subresource without that verb"),
        pytest.param("root", "DELETE", "/api/v1/namespaces", 405, id="resource without that verb"),
        pytest.param("root", "PUT", CONFIGMAPS, 405, id="update without a name"),
    ],
)
async def test_addresses(client: ApiClient, cluster: str, method: str, url: str, code: int) -> None:
    client.cluster, client.identity = cluster, USER if cluster.startswith("system:") else client.identity
    assert (await client.do(method, url, {}, "application/merge-patch+json")).code == code


async def test_the_storage_type(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    request = client.request("GET", "/apis/events.k8s.io/v1/namespaces/default/events")
    found = find_target(client.shard, request, "list", pending=False)
    assert (found.resource.group, found.stored.group, found.stored.plural) == ("events.k8s.io", "", "events")


@pytest.mark.parametrize(
    ("url", "content_type"),
    [
        pytest.param("/apis/nowhere.example.com/v1/things", "text/plain; charset=utf-8", id="no such group"),
        pytest.param("/apis/coordination.k8s.io/v7/leases", "", id="no such version"),
        pytest.param("/api/v1/nonsense", "", id="no such resource"),
    ],
)
async def test_a_path_of_no_group_is_no_page(client: ApiClient, url: str, content_type: str) -> None:
    with pytest.raises(NotFound) as caught:
        find_target(client.shard, client.request("GET", url), "list", pending=False)
    assert caught.value.content_type == content_type
    assert (caught.value.body() == b"404 page not found\n") is bool(content_type)

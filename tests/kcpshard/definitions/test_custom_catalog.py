import asyncio

import orjson

from kcpshard.definitions.catalog import Catalog
from tests.contracts.api_client import ApiClient
from tests.contracts.custom_types import CRDS, WIDGETS, crd, established, version, widget

PLACE = ("example.com", "v1", "widgets")


def catalog(client: ApiClient) -> Catalog:
    assert isinstance(client.shard.catalog, Catalog)
    return client.shard.catalog


async def test_an_index_made_again_serves_the_same_values() -> None:
    async with established() as client:
        cluster = client.shard.store.find_cluster("root")
        assert cluster is not None
        before = catalog(client).find(cluster, *PLACE)
        cluster.cached.clear()
        assert catalog(client).find(cluster, *PLACE) is before is not None
        assert catalog(client).resources(cluster)[-1] is before


async def test_equal_definitions_are_shared_by_logical_clusters() -> None:
    async with established() as client:
        other = ApiClient(client.shard, "other")
        await other.create(CRDS, crd())
        async with asyncio.timeout(60):
            while (await other.do("GET", WIDGETS)).code != 200:
                await asyncio.sleep(0)
        places = [client.shard.store.find_cluster(path) for path in ("root", "other")]
        assert catalog(client).find(places[0], *PLACE) is catalog(client).find(places[1], *PLACE)
        assert (await other.do("GET", WIDGETS)).names == []
        await client.create(WIDGETS, widget("a"))
        assert (await other.do("GET", WIDGETS)).names == []


async def test_listeners_hear_of_changes_of_what_is_served() -> None:
    heard: list[tuple[int, str]] = []
    async with established() as client:
        custom = catalog(client).custom
        assert custom is not None
        custom.on_change(lambda cluster_id, resource: heard.append((cluster_id, resource)))
        await client.patch(f"{CRDS}/widgets.example.com", {"metadata": {"labels": {"a": "b"}}})
        assert not heard
        await client.patch(f"{CRDS}/widgets.example.com", {"spec": {"versions": [version(), version("v2", False)]}})
        assert [resource for _, resource in heard] == ["widgets.example.com"]


async def test_discovery_is_the_clusters_own() -> None:
    async with established(version("v1"), version("v1beta1", False)) as client:
        cluster = client.shard.store.find_cluster("root")
        found = catalog(client).document(cluster, "/apis/example.com", "", "")
        assert found is not None and not hasattr(found, "send")
        assert [v["version"] for v in orjson.loads(found.body)["versions"]] == ["v1", "v1beta1"]
        assert catalog(client).document(None, "/apis/example.com", "", "") is None


async def test_what_is_compiled_outlives_a_change_of_conditions() -> None:
    """A definition that begins to terminate, with many objects, is not compiled once more for that."""
    async with established() as client:
        await client.create(WIDGETS, widget("a", finalizers=["x/y"]))
        cluster = client.shard.store.find_cluster("root")
        assert cluster is not None
        before = catalog(client).find(cluster, "example.com", "v1", "widgets")
        assert before is not None
        await client.do("DELETE", f"{CRDS}/widgets.example.com")
        async with asyncio.timeout(60):
            while (after := catalog(client).find(cluster, "example.com", "v1", "widgets")) is before:
                await asyncio.sleep(0)
        assert after is not None and after.definition.summary.terminating and not before.definition.summary.terminating
        assert after.definition.schemas is before.definition.schemas
        assert (await client.do("POST", WIDGETS, widget("b"))).code == 403

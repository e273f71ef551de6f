import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcpshard.verbs import get as get_verb
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import CONFIGMAPS, ApiClient, Reply, configmap, memory_shard

NAMES = [f"c{n}" for n in range(7)]


@pytest.fixture
async def filled(client: ApiClient) -> ApiClient:
    for at, name in enumerate(NAMES):
        await client.create(CONFIGMAPS, configmap(name, labels={"odd": str(at % 2)}))
    return client


async def pages(client: ApiClient, url: str, limit: int) -> list[Reply]:
    found = [await client.do("GET", f"{url}&limit={limit}")]
    while token := found[-1].json["metadata"].get("continue"):
        found.append(await client.do("GET", f"{url}&limit={limit}&continue={token}"))
    return found


async def test_everything_in_key_order(filled: ApiClient) -> None:
    reply = await filled.do("GET", CONFIGMAPS)
    assert (reply.names, reply.json["kind"], reply.json["apiVersion"]) == (NAMES, "ConfigMapList", "v1")


async def test_all_namespaces(filled: ApiClient) -> None:
    await filled.create("/api/v1/namespaces/kube-system/configmaps", configmap("other"))
    assert (await filled.do("GET", "/api/v1/configmaps")).names == [*NAMES, "other"]


@pytest.mark.parametrize("query", ["", "labelSelector=odd=1", "fieldSelector=metadata.name!=c3"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_are_the_unpaged_list(filled: ApiClient, query: str, limit: int) -> None:
    url = f"{CONFIGMAPS}?{query}"
    found = await pages(filled, url, limit)
    assert [n for page in found for n in page.names] == (await filled.do("GET", url)).names
    assert len({page.json["metadata"]["resourceVersion"] for page in found}) == 1
    assert all(len(page.names) == limit for page in found[:-1])


async def test_a_paged_list_shows_one_state(filled: ApiClient) -> None:
    first = (await filled.do("GET", CONFIGMAPS + "?limit=3")).json["metadata"]
    await filled.do("DELETE", CONFIGMAPS + "/c4")
    await filled.create(CONFIGMAPS, configmap("c33"))
    rest = await filled.do("GET", f"{CONFIGMAPS}?continue={first['continue']}")
    assert rest.names == NAMES[3:]
    assert rest.json["metadata"]["resourceVersion"] == first["resourceVersion"]


async def test_remaining_items_are_counted_without_a_selector(filled: ApiClient) -> None:
    found = await pages(filled, CONFIGMAPS + "?", 3)
    assert [page.json["metadata"].get("remainingItemCount") for page in found] == [4, 1, None]
    everywhere = await filled.do("GET", "/api/v1/configmaps?limit=2")
    assert everywhere.json["metadata"]["remainingItemCount"] == 5
    selected = await filled.do("GET", CONFIGMAPS + "?limit=1&labelSelector=odd")
    assert "remainingItemCount" not in selected.json["metadata"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("fieldSelector=metadata.name=c2", ["c2"]),
        ("fieldSelector=metadata.name=c2&labelSelector=odd=1", []),
        ("fieldSelector=metadata.name=nope", []),
        ("fieldSelector=metadata.namespace=other", []),
        ("fieldSelector=metadata.name=c2,metadata.name=c3", []),
        ("labelSelector=odd%20notin%20(0)", ["c1", "c3", "c5"]),
    ],
)
async def test_selectors(filled: ApiClient, query: str, names: list[str]) -> None:
    assert (await filled.do("GET", f"{CONFIGMAPS}?{query}")).names == names


async def test_exact_and_not_older_than(filled: ApiClient) -> None:
    before = (await filled.do("GET", CONFIGMAPS)).json["metadata"]["resourceVersion"]
    await filled.do("DELETE", CONFIGMAPS + "/c0")
    exact = await filled.do("GET", f"{CONFIGMAPS}?resourceVersion={before}&resourceVersionMatch=Exact")
    assert exact.names == NAMES and exact.json["metadata"]["resourceVersion"] == before
    assert (await filled.do("GET", f"{CONFIGMAPS}?resourceVersion={before}&limit=9")).names == NAMES  # legacy: exact
    newer = await filled.do("GET", f"{CONFIGMAPS}?resourceVersion={before}&resourceVersionMatch=NotOlderThan&limit=9")
    assert newer.names == NAMES[1:]


async def test_a_state_before_the_birth_is_expired(filled: ApiClient) -> None:
    reply = await filled.do("GET", CONFIGMAPS + "?resourceVersion=5&resourceVersionMatch=Exact")
    assert (reply.code, reply.json["reason"]) == (410, "Expired")


async def test_an_expired_page_goes_on_inconsistently(filled: ApiClient) -> None:
    first = (await filled.do("GET", CONFIGMAPS + "?limit=3")).json["metadata"]
    cluster = filled.shard.store.find_cluster("root")
    assert cluster is not None
    await filled.do("DELETE", CONFIGMAPS + "/c5")
    cluster.oldest[0] = filled.shard.store.durable_revision  # as compaction would
    reply = await filled.do("GET", f"{CONFIGMAPS}?limit=2&continue={first['continue']}")
    assert (reply.code, reply.json["reason"]) == (410, "Expired")
    fresh = reply.json["metadata"]["continue"]
    rest = await filled.do("GET", f"{CONFIGMAPS}?limit=9&continue={fresh}")
    assert rest.names == ["c3", "c4", "c6"]


async def test_a_token_of_another_incarnation_is_expired(filled: ApiClient) -> None:
    token = (await filled.do("GET", CONFIGMAPS + "?limit=3")).json["metadata"]["continue"]
    other = ApiClient(filled.shard, "other")
    await other.create(CONFIGMAPS, configmap("a"))
    assert (await other.do("GET", f"{CONFIGMAPS}?continue={token}")).code == 410


async def test_a_list_beside_a_writer_does_not_wait(filled: ApiClient) -> None:
    dispatch(filled.shard, filled.request("POST", CONFIGMAPS, configmap("c9")))
    reply = await filled.do("GET", CONFIGMAPS)
    assert reply.names == NAMES and not reply.waited


async def test_too_large_a_version(filled: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_verb, "FUTURE_REVISION_WAIT_S", 0.0)
    reply = await filled.do("GET", CONFIGMAPS + "?resourceVersion=9223372036854775806")
    assert (reply.code, reply.json["reason"]) == (504, "Timeout")


async def test_an_unborn_cluster_reads_as_empty(client: ApiClient) -> None:
    reply = await client.do("GET", CONFIGMAPS)
    assert (reply.code, reply.json["items"]) == (200, [])
    assert client.shard.store.pending_cluster("root") is None


async def test_a_long_list_comes_in_pieces_as_one_cut(client: ApiClient) -> None:
    names = [f"n{at:04}" for at in range(700)]
    for name in names:
        dispatch(client.shard, client.request("POST", CONFIGMAPS, configmap(name, {"k": "x" * 1200})))
    await client.create(CONFIGMAPS, configmap("z"))
    request = client.request("GET", CONFIGMAPS)
    outcome = dispatch(client.shard, request)
    pieces = []
    async for piece in outcome:  # type: ignore[union-attr]
        if len(pieces) == 2:
            await client.create(CONFIGMAPS, configmap("n0699-later"))
        pieces.append(piece)
    assert len(pieces) > 3 and [p.info is None for p in pieces] == [True] * (len(pieces) - 1) + [False]
    assert pieces[0].code == 200 and max(len(p.body) for p in pieces) < 300_000
    whole = Reply(pieces[-1]._replace(body=b"".join(p.body for p in pieces)))
    assert whole.names == [*names, "z"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=12), st.integers(1, 4))
def test_pages_equal_the_list_whatever_was_written(writes: list[tuple[str, bool]], limit: int) -> None:
    import asyncio

    async def run() -> None:
        client = ApiClient(memory_shard())
        expected: set[str] = set()
        for name, is_there in writes:
            url = f"{CONFIGMAPS}/{name}"
            await client.do("POST", CONFIGMAPS, configmap(name)) if is_there else await client.do("DELETE", url)
            expected = expected | {name} if is_there else expected - {name}
        found = await pages(client, CONFIGMAPS + "?", limit)
        assert [n for page in found for n in page.names] == sorted(expected)
        await client.shard.store.close()

    asyncio.run(run())


async def test_a_list_of_the_past_with_its_pages(client: ApiClient) -> None:
    for name in "abc":
        made = await client.create(CONFIGMAPS, configmap(name))
    await client.do("DELETE", CONFIGMAPS + "/b")
    url = f"{CONFIGMAPS}?at={made['metadata']['resourceVersion']}&limit=2"
    first = (await client.do("GET", url)).json
    rest = (await client.do("GET", f"{url}&continue={first['metadata']['continue']}")).json
    names = [item["metadata"]["name"] for item in first["items"] + rest["items"]]
    assert [name for name in names if len(name) == 1] == ["a", "b", "c"]
    assert first["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_list_of_an_old_kind_warns() -> None:
    client = ApiClient(memory_shard(api_set="full"))
    endpoints = "/api/v1/namespaces/default/endpoints"
    warning = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    await client.create(endpoints, {"metadata": {"name": "a"}})
    for url in ("/api/v1/endpoints", f"{endpoints}?resourceVersion=1"):
        assert list((await client.do("GET", url)).answer.warnings) == [warning]
    assert list((await client.do("DELETE", f"{endpoints}/a")).answer.warnings) == [warning]
    assert not (await client.do("GET", "/api/v1/services")).answer.warnings
    await client.shard.store.close()

import asyncio
from collections.abc import AsyncIterator

import pytest

from kcpfront.routing.wildcard_list import decode_page
from kcpshard.api.errors import BadRequest, ServiceUnavailable
from kcpshard.api.requests import Identity
from tests.contracts.api_client import CONFIGMAPS, configmap
from tests.contracts.shards_tier import ShardsTier, shown

PATHS = ("alpha", "beta", "gamma", "delta")
ALICE = Identity("alice", "", ("system:authenticated",))
EVERYTHING = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(params=[1, 2, 3])
async def tier(request: pytest.FixtureRequest) -> AsyncIterator[ShardsTier]:
    async with asyncio.TaskGroup() as tasks:
        found = ShardsTier(request.param, tasks)
        for path in PATHS:
            for name in ("a", "b", "c"):
                await found.client(path).create(CONFIGMAPS, configmap(name, labels={"name": name, "of": path}))
        yield found
        await found.close()


async def test_all_logical_clusters_of_all_shards(tier: ShardsTier) -> None:
    found = await tier.list(EVERYTHING)
    assert found["kind"] == "ConfigMapList"
    assert sorted(shown(found["items"])) == sorted(f"{path}/{name}" for path in PATHS for name in "abc")


async def test_selectors(tier: ShardsTier) -> None:
    found = await tier.list(f"{EVERYTHING}?labelSelector=name=b,of!=beta")
    assert sorted(shown(found["items"])) == ["alpha/b", "delta/b", "gamma/b"]
    found = await tier.list(f"{EVERYTHING}?fieldSelector=metadata.name=c")
    assert sorted(shown(found["items"])) == sorted(f"{path}/c" for path in PATHS)


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 13])
async def test_pages_are_the_list_and_one_cut(tier: ShardsTier, limit: int) -> None:
    whole, found, query = await tier.list(EVERYTHING), [], f"{EVERYTHING}?limit={limit}"
    page = await tier.list(query)
    revision = page["metadata"]["resourceVersion"]
    # What comes after the first page is in none.
    await tier.client("alpha").do("DELETE", f"{CONFIGMAPS}/c")
    await tier.client("delta").do("DELETE", f"{CONFIGMAPS}/a")
    await tier.client("gamma").create(CONFIGMAPS, configmap("new"))
    await tier.client("newcomer").create(CONFIGMAPS, configmap("new"))
    while True:
        assert page["metadata"]["resourceVersion"] == revision
        found += shown(page["items"])
        if not page["metadata"]["continue"]:
            break
        page = await tier.list(f"{query}&continue={page['metadata']['continue']}")
    assert found == shown(whole["items"])


async def test_a_list_at_an_earlier_revision(tier: ShardsTier) -> None:
    before = (await tier.list(EVERYTHING))["metadata"]["resourceVersion"]
    for path in PATHS:
        await tier.client(path).do("DELETE", CONFIGMAPS)
    assert (await tier.list(EVERYTHING))["items"] == []
    found = await tier.list(f"{EVERYTHING}?resourceVersion={before}&resourceVersionMatch=Exact")
    assert len(found["items"]) == 12
    assert found["metadata"]["resourceVersion"] == before
    assert len((await tier.list(f"{EVERYTHING}?at={before}"))["items"]) == 12


async def test_what_was_acknowledged_is_in_the_next_list(tier: ShardsTier) -> None:
    for number in range(5):
        for path in PATHS:
            made = await tier.client(path).create(CONFIGMAPS, configmap(f"n{number}"))
            found = await tier.list(f"{EVERYTHING}?fieldSelector=metadata.name=n{number}")
            assert f"{path}/n{number}" in shown(found["items"])
            assert int(found["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])


async def test_a_part_of_the_tree(tier: ShardsTier) -> None:
    for path in ("root:org", "root:org:one", "root:org:two:deep", "root:organic"):
        await tier.bear(path).create(CONFIGMAPS, configmap("x"))
    found = await tier.list(EVERYTHING, "root:org:*")
    assert sorted(shown(found["items"])) == ["root:org:one/x", "root:org:two:deep/x"]


async def test_only_what_the_caller_may_see(tier: ShardsTier) -> None:
    assert (await tier.list(EVERYTHING, identity=ALICE))["items"] == []
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    role = {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}], "metadata": {"name": "r"}}
    subject = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": reference}
    for path in ("beta", "delta"):
        await tier.client(path).create(f"{rbac}/clusterroles", role)
        await tier.client(path).create(f"{rbac}/clusterrolebindings", binding)
    found = await tier.list(EVERYTHING, identity=ALICE)
    assert {name.partition("/")[0] for name in shown(found["items"])} == {"beta", "delta"}
    secrets = await tier.list("/api/v1/secrets", identity=ALICE)
    assert secrets["items"] == []


async def test_a_logical_cluster_on_its_way_is_waited_for(tier: ShardsTier) -> None:
    before, number = (await tier.list(EVERYTHING))["metadata"]["resourceVersion"], tier.home["beta"]
    tier.home["beta"] = 99  # sealed here, and nobody has taken it over yet
    waiting = tier.tasks.create_task(tier.list(EVERYTHING))
    fixed = await tier.list(f"{EVERYTHING}?resourceVersion={before}&resourceVersionMatch=Exact")
    assert fixed["code"] == 410
    await asyncio.sleep(0.02)
    assert not waiting.done()
    tier.home["beta"] = number
    assert len((await waiting)["items"]) == 12


async def test_a_type_that_nobody_serves(tier: ShardsTier) -> None:
    assert (await tier.list("/apis/example.dev/v1/widgets"))["code"] == 404


async def test_the_installations_own_are_never_shown(tier: ShardsTier) -> None:
    tier.home["system:keys"] = 1
    await tier.bear("system:keys").create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "key"}})
    assert (await tier.list("/api/v1/secrets"))["items"] == []


@pytest.mark.parametrize("text", ["nonsense", "WyJrMSIsMSwwLCIiLCIiLC0xXQ", "****"])
def test_tokens_of_others_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        decode_page(text)


async def test_a_shard_that_fails_fails_the_list() -> None:
    class Away:
        async def call(self, *_: object) -> object:
            raise ServiceUnavailable("shard 2 is away")

        list = call

    async with asyncio.TaskGroup() as tasks:
        tier = ShardsTier(2, tasks)
        await tier.client("alpha").create(CONFIGMAPS, configmap("a"))
        tier.callers[2] = Away()  # type: ignore[index]
        with pytest.raises(ServiceUnavailable):
            await tier.list(EVERYTHING)
        await tier.close()

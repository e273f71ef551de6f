from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap


async def fill(client: ApiClient, count: int) -> None:
    for at in range(count):
        await client.create(CONFIGMAPS, configmap(f"c{at:03}", labels={"odd": str(at % 2)}))


async def test_the_chosen_are_deleted_and_shown(client: ApiClient) -> None:
    await fill(client, 6)
    reply = await client.do("DELETE", CONFIGMAPS + "?labelSelector=odd=1")
    assert (reply.code, reply.json["kind"], reply.names) == (200, "ConfigMapList", ["c001", "c003", "c005"])
    assert reply.waited
    assert (await client.do("GET", CONFIGMAPS)).names == ["c000", "c002", "c004"]


async def test_many_take_several_turns(client: ApiClient) -> None:
    await fill(client, 150)
    assert len((await client.do("DELETE", CONFIGMAPS)).names) == 150
    assert (await client.do("GET", CONFIGMAPS)).names == []


async def test_each_deletion_is_a_commit_of_its_own(client: ApiClient) -> None:
    await fill(client, 3)
    commits: list[int] = []
    client.shard.store.on_commit(lambda found: commits.extend(len(c.changes) for c in found))
    await client.do("DELETE", CONFIGMAPS)
    assert commits == [1, 1, 1]


async def test_limit_and_continue(client: ApiClient) -> None:
    await fill(client, 5)
    first = await client.do("DELETE", CONFIGMAPS + "?limit=2")
    assert first.names == ["c000", "c001"]
    rest = await client.do("DELETE", f"{CONFIGMAPS}?continue={first.json['metadata']['continue']}")
    assert rest.names == ["c002", "c003", "c004"]


async def test_policies_and_preconditions_hold_for_each(client: ApiClient) -> None:
    await fill(client, 2)
    assert (await client.do("DELETE", CONFIGMAPS, {"preconditions": {"uid": "x"}})).code == 409
    await client.do("DELETE", CONFIGMAPS, {"propagationPolicy": "Foreground"})
    items = (await client.do("GET", CONFIGMAPS)).json["items"]
    assert [item["metadata"]["finalizers"] for item in items] == [["foregroundDeletion"]] * 2


async def test_dry_run_and_refusals(client: ApiClient) -> None:
    assert (await client.do("DELETE", CONFIGMAPS)).json["items"] == []
    await fill(client, 2)
    assert len((await client.do("DELETE", CONFIGMAPS + "?dryRun=All")).names) == 2
    assert len((await client.do("GET", CONFIGMAPS)).names) == 2
    assert (await client.do("DELETE", CONFIGMAPS, "{")).code == 400
    assert (await client.do("DELETE", CONFIGMAPS + "?fieldSelector=x=y")).code == 400
    assert (await client.do("DELETE", "/api/v1/configmaps")).code == 405
    assert (await client.do("DELETE", "/api/v1/namespaces")).code == 405

import pytest

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs import list_everywhere
from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, Reply, configmap
from tests.contracts.custom_types import CRDS, WIDGETS, crd, established, version, widget

EVERYWHERE = "/api/v1/namespaces/default/configmaps"


async def ask(client: ApiClient, url: str, **changes: object) -> Reply:
    request = client.request("GET", url)
    request.verb, request.cluster = pb.LIST_MANY, "*"
    for name, value in changes.items():
        setattr(request, name, value)
    return await client.send(request)


@pytest.fixture
async def others(client: ApiClient) -> list[ApiClient]:
    found = [ApiClient(client.shard, path) for path in ("one", "two", "three")]
    for each in found:
        for name in ("a", "b"):
            await each.create(CONFIGMAPS, configmap(name, data={"in": each.cluster}, annotations={"mine": "yes"}))
    return found


def places(reply: Reply) -> list[str]:
    return [f"{i['metadata']['annotations']['kcp.io/cluster']}/{i['metadata']['name']}" for i in reply.json["items"]]


async def test_objects_are_as_stored_and_say_where_they_live(client: ApiClient, others: list[ApiClient]) -> None:
    reply = await ask(client, EVERYWHERE)
    assert places(reply) == ["one/a", "one/b", "two/a", "two/b", "three/a", "three/b"]
    shown = reply.json["items"][3]
    assert shown["metadata"]["annotations"].pop("kcp.io/cluster") == "two"
    assert shown == await others[1].get(f"{CONFIGMAPS}/b")
    assert reply.answer.info is not None and reply.answer.info.items == 6


async def test_a_page_goes_on_inside_a_logical_cluster(client: ApiClient, others: list[ApiClient]) -> None:
    found, token = [], ""
    while True:
        reply = await ask(client, EVERYWHERE, limit=1, continue_token=token)
        found += places(reply)
        assert reply.answer.info is not None and reply.answer.info.items == 1
        token = reply.answer.info.continue_token
        if not token:
            break
    assert found == places(await ask(client, EVERYWHERE))


async def test_long_lists_come_in_pieces(
    client: ApiClient, others: list[ApiClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_everywhere, "_PIECE_BYTES", 1)
    monkeypatch.setattr(list_everywhere, "_CLUSTERS", 1)
    assert len(places(await ask(client, EVERYWHERE))) == 6


@pytest.mark.parametrize(
    ("url", "code"),
    [
        pytest.param("/api/v1/namespaces/default/namespaces", 405, id="no namespace is in a namespace"),
        pytest.param("/api/v1/nothings", 404, id="no such type"),
        pytest.param(f"{EVERYWHERE}?labelSelector=a===b", 400, id="a bad selector"),
        pytest.param(f"{EVERYWHERE}?continue=WyJrMSIsMSwyLCIiLCIiLC0xXQ", 400, id="another list's token"),
    ],
)
async def test_refusals(client: ApiClient, others: list[ApiClient], url: str, code: int) -> None:
    assert (await ask(client, url)).code == code


async def test_somebody_without_rights_sees_nothing(client: ApiClient, others: list[ApiClient]) -> None:
    reply = await ask(client, EVERYWHERE, identity=USER.encode())
    assert (reply.code, places(reply)) == (200, [])


async def test_custom_types_as_each_logical_cluster_defines_them() -> None:
    async with established() as client:
        await client.create(WIDGETS, widget("w", {"size": 3}))
        await ApiClient(client.shard, "without").create(CONFIGMAPS, configmap("a"))
        reply = await ask(client, "/apis/example.com/v1/widgets")
        assert places(reply) == ["root/w"]
        assert reply.json["items"][0]["spec"] == {"color": "red", "size": 3}
        assert (await ask(client, "/apis/example.com/v9/widgets")).code == 404


async def test_objects_of_another_version_are_converted() -> None:
    versions = (version("v1", storage=False), version("v2"))
    async with established(*versions) as client:
        await client.create(WIDGETS.replace("/v1/", "/v2/"), widget("w", api_version="example.com/v2"))
        reply = await ask(client, "/apis/example.com/v1/widgets")
        assert (places(reply), reply.json["items"][0]["apiVersion"]) == (["root/w"], "example.com/v1")


async def test_template_objects_are_shown_for_each(client: ApiClient, others: list[ApiClient]) -> None:
    reply = await ask(client, "/apis/rbac.authorization.k8s.io/v1/clusterroles?fieldSelector=metadata.name=admin")
    assert places(reply) == ["one/admin", "two/admin", "three/admin"]


async def test_selectors_judge_what_is_served() -> None:
    colour = {"selectableFields": [{"jsonPath": ".spec.color"}]}
    async with established(version()) as client:
        for name, color in (("a", "blue"), ("b", "red")):
            await client.create(WIDGETS, widget(name, {"color": color}))
        definition = await client.get(f"{CRDS}/widgets.example.com")
        definition["spec"] = crd(version(**colour))["spec"]
        assert (await client.do("PUT", f"{CRDS}/widgets.example.com", definition)).code == 200
        await client.create(WIDGETS, widget("c", {"color": "blue"}))
        reply = await ask(client, "/apis/example.com/v1/widgets?fieldSelector=spec.color%3Dblue")
        assert places(reply) == ["root/a", "root/c"]
        first = await ask(client, "/apis/example.com/v1/widgets?fieldSelector=spec.color%3Dblue&limit=1")
        assert places(first) == ["root/a"]

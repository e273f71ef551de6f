import orjson

from kcpshard.api.requests import Identity
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.api_client import ApiClient
from tests.contracts.shared_apis import CLAIM, SharedApis, shared

__all__ = ["shared"]


async def ask(
    shared: SharedApis, path: str, client: ApiClient | None = None, name: str = "widgets"
) -> tuple[int, bytes]:
    client = client or shared.exporter
    view = orjson.dumps(["exporter", name])
    request = pb.Request(verb=pb.DOCUMENT, cluster="exporter", name=path, view=view, identity=client.identity.encode())
    reply = await client.send(request)
    return reply.code, reply.answer.body


async def test_the_types_of_the_export_and_what_it_claims(shared: SharedApis) -> None:
    await shared.publish(permissionClaims=[CLAIM])
    code, body = await ask(shared, "/apis")
    assert (code, [each["name"] for each in orjson.loads(body)["groups"]]) == (200, ["example.com"])
    code, body = await ask(shared, "/apis/example.com/v1")
    names = [each["name"] for each in orjson.loads(body)["resources"]]
    assert names == ["widgets", "widgets/status"]
    code, body = await ask(shared, "/api/v1")
    assert [each["name"] for each in orjson.loads(body)["resources"]] == ["configmaps"]


async def test_refusals(shared: SharedApis) -> None:
    await shared.publish()
    assert (await ask(shared, "/apis/apps/v1"))[0] == 404
    assert (await ask(shared, "/apis", name="nothing"))[0] == 404
    nobody = ApiClient(shared.exporter.shard, "exporter", Identity("ann", "", ("system:authenticated",)))
    assert (await ask(shared, "/apis", nobody))[0] == 403


async def test_openapi_of_those_types_alone(shared: SharedApis) -> None:
    await shared.publish(permissionClaims=[CLAIM])
    code, body = await ask(shared, "/openapi/v3")
    assert (code, sorted(orjson.loads(body)["paths"])) == (200, ["api/v1", "apis/example.com/v1"])
    _, body = await ask(shared, "/openapi/v3/apis/example.com/v1")
    document = orjson.loads(body)
    kinds = [
        kind["kind"]
        for schema in document["components"]["schemas"].values()
        for kind in schema.get("x-kubernetes-group-version-kind", ())
        if kind["group"] == "example.com"
    ]
    assert "Widget" in kinds and "WidgetList" in kinds
    assert any(path.endswith("/widgets/{name}") for path in document["paths"])
    _, body = await ask(shared, "/openapi/v3/api/v1")
    resources = {path.rpartition("{namespace}/")[2].partition("/")[0] for path in orjson.loads(body)["paths"]}
    assert "configmaps" in resources and "secrets" not in resources
    code, body = await ask(shared, "/openapi/v2")
    assert code == 200 and not any("workspaces" in path for path in orjson.loads(body)["paths"])
    assert (await ask(shared, "/openapi/v3/apis/apps/v1"))[0] == 404

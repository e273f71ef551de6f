from collections.abc import Coroutine
from typing import Any

import orjson

from kcpshard.definitions.contract import Document
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.api_client import ApiClient


async def ask(client: ApiClient, path: str, **more: str) -> Any:
    request = pb.Request(verb=pb.DOCUMENT, cluster=client.cluster, identity=client.identity.encode(), name=path, **more)
    return await client.send(request)


async def test_discovery(client: ApiClient) -> None:
    found = await ask(client, "/api/v1")
    assert found.code == 200
    assert "configmaps" in {r["name"] for r in found.json["resources"]}


async def test_not_modified(client: ApiClient) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    first = await ask(client, "/apis", accept=accept)
    again = await ask(client, "/apis", accept=accept, if_none_match=first.answer.etag)
    assert first.answer.etag and (again.code, again.answer.body) == (304, b"")


async def test_unknown_paths_and_clusters(client: ApiClient) -> None:
    assert (await ask(client, "/apis/nonsense/v1")).code == 404
    client.cluster = "root:nowhere"
    assert (await ask(client, "/api")).code == 404


async def test_a_document_that_must_be_built(client: ApiClient) -> None:
    class Slow:
        def document(self, *_: Any) -> Coroutine[Any, Any, Document | None]:
            async def build() -> Document | None:
                return Document(200, orjson.dumps({}), "tag", "application/x")

            return build()

    client.shard.catalog = Slow()  # type: ignore[assignment]
    found = await ask(client, "/openapi/v2")
    assert (found.code, found.answer.content_type, found.answer.etag) == (200, "application/x", "tag")

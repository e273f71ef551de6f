"""From a server of our own, and from scripted ones that are older or broken."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.foreign_apis import ForeignApis
from kcpsyncer.kube_client import Failure, KubeClient
from kcpsyncer.kubeconfig import parse


async def test_a_server_of_today(physical_server: EmbeddedServer) -> None:
    access = parse(physical_server.create_cluster().kubeconfig.read_text())
    async with KubeClient(access) as client:
        apis = ForeignApis(client)
        found = {api.group_resource: api for api in await apis.read(["deployments.apps", "pods", "nothing"])}
        assert set(found) == {"deployments.apps", "pods"}
        assert set(found["deployments.apps"].subresources) == {"status", "scale"}
        assert (await apis.read(["pods"]))[0] is found["pods"]  # not read again


class Scripted:
    def __init__(self, documents: Mapping[str, Any]) -> None:
        self.documents = dict(documents)
        self.asked: list[str] = []

    async def request(self, method: str, path: str, **_: Any) -> Any:
        self.asked.append(path)
        if path not in self.documents:
            raise Failure(404, "NotFound", path)
        return self.documents[path]

    async def get(self, path: str) -> Any:
        self.asked.append(path)
        return self.documents.get(path)

    async def list(self, path: str) -> Any:
        return self.documents.get(path, []), "1"


KIND = "x-kubernetes-group-version-kind"
OLD = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"resources": []},
    "/apis": {"groups": [{"name": "apps", "preferredVersion": {"version": "v1"}}]},
    "/apis/apps/v1": {
        "resources": [
            {"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["get", "list"]},
            {"name": "deployments/status", "kind": "Deployment"},
        ]
    },
    "/openapi/v2": {
        "definitions": {
            "d": {
                "type": "object",
                "properties": {"spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}}},
                KIND: [{"group": "apps", "version": "v1", "kind": "Deployment"}],
            }
        }
    },
}


def reader(documents: Mapping[str, Any]) -> tuple[ForeignApis, Scripted]:
    scripted = Scripted(documents)
    return ForeignApis(cast(KubeClient, scripted)), scripted


async def test_a_server_of_long_ago() -> None:
    apis, _ = reader(OLD)
    (found,) = await apis.read(["deployments.apps"])
    assert found.schema["properties"]["spec"]["properties"] == {"replicas": {"type": "integer"}}
    assert found.subresources == ("status",)


async def test_an_upgrade_is_noticed_by_the_hash() -> None:
    """D-13"""
    path, index = "/openapi/v3/apis/apps/v1", "/openapi/v3"
    document = {"components": {"schemas": OLD["/openapi/v2"]["definitions"]}}
    apis, server = reader(
        {**OLD, index: {"paths": {"apis/apps/v1": {"serverRelativeURL": f"{path}?hash=1"}}}, path: document}
    )
    await apis.read(["deployments"])
    await apis.read(["deployments"])
    assert server.asked.count(path) == 1
    server.documents[index] = {"paths": {"apis/apps/v1": {"serverRelativeURL": f"{path}?hash=2"}}}
    await apis.read(["deployments"])
    assert server.asked.count(path) == 2


async def test_half_an_answer_is_none() -> None:
    """D-14: a group that does not answer must not look as if it were gone."""
    broken = {key: value for key, value in OLD.items() if key != "/apis/apps/v1"}
    apis, _ = reader(broken)
    with pytest.raises(Failure):
        await apis.read(["deployments"])
    apis, _ = reader({key: value for key, value in OLD.items() if key != "/openapi/v2"})
    with pytest.raises(Failure, match="no OpenAPI"):
        await apis.read(["deployments"])

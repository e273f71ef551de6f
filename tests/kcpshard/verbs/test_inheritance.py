from typing import Any

from kcpshard.api.requests import Identity
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs.inheritance import PATH
from tests.contracts.api_client import ADMIN, ApiClient, memory_shard
from tests.contracts.workspace_tree import RBAC, binding

ROLES = "clusterrolebindings.rbac.authorization.k8s.io"


def asked(client: ApiClient, tag: str = "") -> pb.Request:
    identity = client.identity.encode()
    return pb.Request(verb=pb.DOCUMENT, cluster=client.cluster, name=PATH, if_none_match=tag, identity=identity)


async def test_what_is_handed_down_and_only_when_it_is_new() -> None:
    client = ApiClient(memory_shard(), "root", ADMIN)
    first = await client.send(asked(client))
    assert first.code == 200 and first.json == {}
    await client.create(f"{RBAC}/clusterrolebindings", binding("b", "view", "ann"))
    second = await client.send(asked(client, first.answer.etag))
    assert [each["metadata"]["name"] for each in second.json[ROLES]] == ["b"]
    assert (await client.send(asked(client, second.answer.etag))).code == 304
    await client.patch(f"{RBAC}/clusterrolebindings/b", {"metadata": {"labels": {"a": "b"}}})
    assert (await client.send(asked(client, second.answer.etag))).code == 200


async def test_only_the_system_is_answered() -> None:
    shard = memory_shard()
    cluster = ApiClient(shard, "root", ADMIN)
    await cluster.create("/api/v1/namespaces", {"metadata": {"name": "n"}})
    id_ = shard.store.pending_cluster("root").id  # type: ignore[union-attr]
    chief = ApiClient(shard, "root", Identity("chief", "", ("system:masters",), {}, id_))
    assert (await chief.send(asked(chief))).code == 404


async def test_who_has_the_document_costs_no_look_at_the_objects() -> None:
    shard = memory_shard()
    client = ApiClient(shard, "root", ADMIN)
    await client.create(f"{RBAC}/clusterrolebindings", binding("b", "view", "ann"))
    known = await client.send(asked(client))
    looks: list[str] = []
    scan = shard.store.scan_own

    def counted(cluster: Any, group_resource: str, after: Any, limit: int) -> Any:
        looks.append(group_resource)
        return scan(cluster, group_resource, after, limit)

    shard.store.scan_own = counted  # type: ignore[method-assign]
    assert (await client.send(asked(client, known.answer.etag))).code == 304
    assert looks == []
    await client.create(f"{RBAC}/clusterrolebindings", binding("c", "view", "bob"))
    assert (await client.send(asked(client, known.answer.etag))).code == 200
    assert looks

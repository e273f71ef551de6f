"""Decisions follow writes at once, through the verbs."""

from typing import Any

import pytest

from kcpshard.api.errors import Unauthorized
from kcpshard.api.requests import Identity
from kcpshard.authorization import authorizer
from kcpshard.authorization.authorizer import CREATORS
from kcpshard.storage.contract import LogicalCluster, NotDurable
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, configmap

RBAC = "/apis/rbac.authorization.k8s.io/v1"
BINDINGS = RBAC + "/clusterrolebindings"


def binding(name: str = "b", role: str = "cluster-admin", user: str = "user") -> dict[str, Any]:
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return {"metadata": {"name": name}, "roleRef": role_ref, "subjects": [subject]}


@pytest.fixture
async def user(client: ApiClient) -> ApiClient:
    await client.create(CONFIGMAPS, configmap("a"))
    return ApiClient(client.shard, identity=USER)


async def test_a_grant_counts_from_the_turn_of_its_write(client: ApiClient, user: ApiClient) -> None:
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 403
    dispatch(client.shard, client.request("POST", BINDINGS, binding()))
    dispatch(client.shard, user.request("GET", CONFIGMAPS + "/a"))  # raises nothing, though nothing is durable yet
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200


async def test_a_revocation_too(client: ApiClient, user: ApiClient) -> None:
    await client.create(BINDINGS, binding())
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200
    await client.do("DELETE", BINDINGS + "/b")
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 403


async def test_a_change_of_the_role_too(client: ApiClient, user: ApiClient) -> None:
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]}
    await client.create(RBAC + "/clusterroles", {"metadata": {"name": "mine"}, "rules": [rule]})
    await client.create(BINDINGS, binding(role="mine"))
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200
    assert (await user.do("GET", CONFIGMAPS)).code == 403
    await client.do("PATCH", RBAC + "/clusterroles/mine", {"rules": []}, "application/merge-patch+json")
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 403


async def test_a_stranger_cannot_tell_whether_a_logical_cluster_exists(user: ApiClient) -> None:
    here = [await user.do(method, url, {}) for method, url in (("GET", CONFIGMAPS), ("POST", CONFIGMAPS))]
    for path in ("nowhere", "root:nowhere", "system:shards"):
        user.cluster = path
        there = [await user.do(method, url, {}) for method, url in (("GET", CONFIGMAPS), ("POST", CONFIGMAPS))]
        assert [r.json for r in there] == [r.json for r in here]
        assert [r.code for r in there] == [403, 403]


async def test_an_identity_of_one_logical_cluster_is_nobody_in_another(client: ApiClient, user: ApiClient) -> None:
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None
    user.identity = Identity("tenant", "", ("system:masters",), scope=cluster.id)
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200
    for path in ("other", "system:shards", "root:deep"):
        user.cluster = path
        with pytest.raises(Unauthorized):
            dispatch(client.shard, user.request("GET", CONFIGMAPS))


async def test_who_may_create_logical_clusters(client: ApiClient) -> None:
    maker = ApiClient(client.shard, "made", Identity("maker", "", (CREATORS, "system:authenticated")))
    assert (await maker.do("GET", CONFIGMAPS)).json["items"] == []
    assert (await maker.do("POST", CONFIGMAPS, configmap("a"))).code == 201
    assert (await maker.do("GET", BINDINGS + "/workspace-admin")).json["subjects"][0]["name"] == "maker"
    assert (await maker.do("DELETE", CONFIGMAPS + "/a")).code == 200, "they are its administrator"
    maker.cluster = "system:made"
    assert (await maker.do("POST", CONFIGMAPS, configmap("a"))).code == 403


async def test_a_large_policy_is_read_in_slices(client: ApiClient, user: ApiClient) -> None:
    for number in range(300):
        await client.create(BINDINGS, binding(f"b{number:03}", user=f"user-{number}"))
    await client.create(BINDINGS, binding("z"))
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None
    cluster.cached.pop("policy", None)
    with pytest.raises(NotDurable):
        dispatch(client.shard, user.request("GET", CONFIGMAPS + "/a"))
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200


async def test_nobody_is_refused(client: ApiClient) -> None:
    request = client.request("GET", CONFIGMAPS)
    request.identity = b""
    assert (await client.send(request)).code == 401


async def test_of_many_policies_those_made_first_are_forgotten_and_made_again(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorizer, "MAX_COMPILED", 7)  # two bindings and the policy itself: three for each
    names = ("one", "two", "three", "four")
    for name in names:
        client.cluster = name
        await client.create(BINDINGS, binding(name="a"))
        await client.create(BINDINGS, binding(name="b"))
        await client.create(CONFIGMAPS, configmap("a"))
    users = {name: ApiClient(client.shard, cluster=name, identity=USER) for name in names}
    for name in names:
        assert (await users[name].do("GET", CONFIGMAPS + "/a")).code == 200
    kept = [name for name in names if "policy" in client.shard.store.find_cluster(name).cached]  # type: ignore[union-attr]
    assert kept == ["three", "four"]
    client.cluster = "one"
    await client.do("DELETE", BINDINGS + "/a")
    assert (await users["one"].do("GET", CONFIGMAPS + "/a")).code == 200
    await client.do("DELETE", BINDINGS + "/b")
    assert (await users["one"].do("GET", CONFIGMAPS + "/a")).code == 403


def test_what_went_with_its_logical_cluster_counts_no_more() -> None:
    compiled, kept = authorizer._Compiled(), LogicalCluster()
    gone = LogicalCluster()
    assert not compiled.add(gone, authorizer.MAX_COMPILED)
    del gone
    assert not compiled.add(kept, authorizer.MAX_COMPILED)
    assert not compiled.add(kept, authorizer.MAX_COMPILED)  # again: counts once
    other = LogicalCluster()
    assert compiled.add(other, 1) == [kept]

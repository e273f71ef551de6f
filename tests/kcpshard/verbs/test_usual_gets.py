"""Both ways of a get answer alike, and what is kept of the first way ends with any change of rights."""

from typing import Any

import pytest

from kcpshard.api.requests import Answer
from kcpshard.authorization.authorizer import GETS
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs import usual_gets
from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, configmap, memory_shard

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"
ONE = CONFIGMAPS + "/a"


@pytest.fixture
async def user(client: ApiClient) -> ApiClient:
    """Who may get config maps by the ClusterRole `reader`, bound in the namespace `default`."""
    await client.create(CONFIGMAPS, configmap("a"))
    await client.create(RBAC + "/clusterroles", {"metadata": {"name": "reader"}, "rules": [rule()]})
    await bind(client, "b")
    return ApiClient(client.shard, identity=USER)


def rule(**more: Any) -> dict[str, Any]:
    return {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], **more}


async def bind(client: ApiClient, name: str) -> None:
    subject = {"kind": "User", "apiGroup": GROUP, "name": USER.username}
    role = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "reader"}
    await client.create(
        f"{RBAC}/namespaces/default/rolebindings", {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    )


def kept(client: ApiClient) -> Any:
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None
    return cluster.cached.get(GETS)


def asked(client: ApiClient, url: str = ONE, **fields: Any) -> pb.Request:
    request = client.request("GET", url)
    for name, value in fields.items():
        setattr(request, name, value)
    return request


@pytest.mark.parametrize("fields", [{}, {"audit_id": "x"}, {"want_columns": True}, {"proof": b""}])
async def test_both_ways_answer_alike(user: ApiClient, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    quick = usual_gets.answer(user.shard, asked(user, **fields))
    monkeypatch.setattr(usual_gets, "answer", lambda _shard, _request: None)
    ordinary = (await user.send(asked(user, **fields))).answer
    assert quick == ordinary and type(quick) is Answer
    assert quick._asdict() == ordinary._asdict()
    assert bool(quick.audit) is ("audit_id" in fields)


async def test_one_kept_answer_serves_every_name_but_no_missing_one(client: ApiClient, user: ApiClient) -> None:
    assert (await user.do("GET", ONE)).code == 200
    await client.create(CONFIGMAPS, configmap("other"))
    assert (await user.do("GET", CONFIGMAPS + "/other")).code == 200
    assert len(kept(user)) == 1
    assert (await user.do("GET", CONFIGMAPS + "/missing")).code == 404


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("DELETE", f"{RBAC}/namespaces/default/rolebindings/b"),
        ("DELETE", f"{RBAC}/clusterroles/reader"),
    ],
)
async def test_no_right_outlives_its_loss(client: ApiClient, user: ApiClient, method: str, url: str) -> None:
    assert (await user.do("GET", ONE)).code == 200
    assert (await client.do(method, url)).code == 200
    assert (await user.do("GET", ONE)).code == 403


async def test_the_right_is_gone_in_the_turn_of_the_write(client: ApiClient, user: ApiClient) -> None:
    """Before it is durable, that is."""
    assert (await user.do("GET", ONE)).code == 200
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None and kept(client)
    client.shard.authorizer._accepted(cluster, f"rolebindings.{GROUP}", "default", "b")
    assert kept(client) is None


async def test_a_refused_write_forgets_too(client: ApiClient, user: ApiClient) -> None:
    assert (await user.do("GET", ONE)).code == 200
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None
    client.shard.authorizer._undone(cluster)
    assert kept(client) is None


async def test_a_right_to_one_name_is_no_right_to_others(client: ApiClient, user: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("other"))
    role = (await client.do("GET", f"{RBAC}/clusterroles/reader")).json
    await client.do("PUT", f"{RBAC}/clusterroles/reader", {**role, "rules": [rule(resourceNames=["a"])]})
    for _ in range(2):
        assert (await user.do("GET", ONE)).code == 200
        assert (await user.do("GET", CONFIGMAPS + "/other")).code == 403


async def test_refusals_are_not_kept(client: ApiClient, user: ApiClient) -> None:
    assert (await user.do("GET", "/api/v1/namespaces/default/secrets/a")).code == 403
    assert (await user.do("GET", "/api/v1/namespaces/other/configmaps/a")).code == 403
    assert not kept(user)


@pytest.mark.parametrize(
    "fields",
    [{"impersonation": b'{"username":"x"}'}, {"subresource": "status"}, {"resource_version": "1"}, {"at": "1"}],
)
async def test_what_is_unusual_goes_the_ordinary_way(user: ApiClient, fields: dict[str, Any]) -> None:
    await user.do("GET", ONE)
    assert usual_gets.answer(user.shard, asked(user)) is not None
    assert usual_gets.answer(user.shard, asked(user, **fields)) is None


@pytest.mark.parametrize("url", ["/api/v1/namespaces/default", f"{RBAC}/clusterroles/missing", "/api/v1/nodes/a"])
async def test_what_has_rules_of_its_own_does_too(client: ApiClient, url: str) -> None:
    assert usual_gets.answer(client.shard, asked(client, url)) is None


async def test_deprecated_kinds_are_warned_of() -> None:
    client = ApiClient(memory_shard(api_set="full"))
    url = "/api/v1/namespaces/default/endpoints"
    await client.create(url, {"metadata": {"name": "a"}})
    for _ in range(2):
        assert (await client.do("GET", url + "/a")).answer.warnings


async def test_nothing_is_known_of_a_logical_cluster_that_is_not_born(client: ApiClient) -> None:
    assert usual_gets.answer(client.shard, asked(client, cluster="unborn")) is None


async def test_it_keeps_a_bounded_number(client: ApiClient, user: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual_gets, "_MAX_KNOWN", 2)
    for number in range(5):
        await client.do("GET", f"/api/v1/namespaces/n{number}/configmaps/a")
        assert len(kept(client)) <= 2

import orjson
import pytest

from kcpshard.api.requests import Identity, decode_identity
from kcpshard.verbs import impersonation
from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, configmap

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.mark.parametrize(
    ("wanted", "groups"),
    [
        ({"username": "a"}, ("system:authenticated",)),
        ({"username": "a", "groups": ["g"]}, ("g", "system:authenticated")),
        ({"username": "a", "groups": ["system:unauthenticated"]}, ("system:unauthenticated",)),
        ({"username": "system:anonymous"}, ("system:unauthenticated",)),
        (
            {"username": "system:serviceaccount:n:s"},
            ("system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated"),
        ),
        ({"username": "system:serviceaccount:n:s", "groups": ["g"]}, ("g", "system:authenticated")),
    ],
)
def test_groups(wanted: dict[str, object], groups: tuple[str, ...]) -> None:
    assert impersonation.impersonated(wanted, None).groups == groups


def test_each_part_is_asked_for() -> None:
    wanted = {"username": "system:serviceaccount:n:s", "groups": ["g"], "extra": {"k": ["v"]}, "uid": "u"}
    assert [(a.group, a.resource, a.subresource, a.namespace, a.name) for a in impersonation.needed(wanted)] == [
        ("", "serviceaccounts", "", "n", "s"),
        ("", "groups", "", "", "g"),
        ("authentication.k8s.io", "userextras", "k", "", "v"),
        ("authentication.k8s.io", "uids", "", "", "u"),
    ]


async def test_whoever_may_becomes_the_other(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    request = client.request("POST", REVIEWS, {})
    request.impersonation = orjson.dumps({"username": "alice", "groups": ["g"]})
    request.audit_id = "x"
    reply = await client.send(request)
    assert reply.json["status"]["userInfo"] == {"username": "alice", "groups": ["g", "system:authenticated"]}
    record = orjson.loads(reply.answer.audit)
    assert (record["user"]["username"], record["impersonatedUser"]["username"]) == ("admin", "alice")
    refused = client.request("GET", CONFIGMAPS)
    refused.impersonation = orjson.dumps({"username": "alice"})
    assert (await client.send(refused)).code == 403


async def test_whoever_may_not_is_refused_as_kubernetes_does(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    user = ApiClient(client.shard, identity=USER)
    request = user.request("POST", REVIEWS, {})
    request.impersonation = orjson.dumps({"username": "alice"})
    reply = await user.send(request)
    text = 'User "user" cannot impersonate resource "users" in API group "" at the cluster scope'
    assert (reply.code, reply.message) == (403, f'users "alice" is forbidden: {text}')


async def test_masters_of_a_logical_cluster_end_there(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    request = client.request("GET", CONFIGMAPS)
    request.impersonation = orjson.dumps({"username": "x", "groups": ["system:masters"]})
    found = decode_identity(impersonation.effective(client.shard, request).identity)
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None and found == Identity(
        "x", "", ("system:masters", "system:authenticated"), {}, cluster.id
    )

import orjson
import pytest

from kcpshard.api.errors import Forbidden
from kcpshard.api.requests import Identity, decode_identity
from kcpshard.authorization.attributes import Attributes, refused
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
    assert impersonation.impersonated(impersonation._read(wanted), None).groups == groups


class Asked:
    """Grants verbs by their beginning, and writes down what was asked."""

    def __init__(self, *granted: str) -> None:
        self.granted, self.log = granted, []  # type: ignore[var-annotated]

    def __call__(self, wanted: Attributes) -> None:
        self.log.append((wanted.verb, wanted.group, wanted.resource, wanted.subresource, wanted.namespace, wanted.name))
        if not wanted.verb.startswith(self.granted):
            raise refused("me", wanted, "")


LIST = Attributes("list", "", "v1", "pods", "", "n")
ME = Identity("me")


def confirm(asked: Asked, requestor: Identity = ME, **wanted: object) -> None:
    impersonation.confirm(asked, requestor, impersonation._read(wanted), LIST)


def test_each_part_is_asked_for() -> None:
    asked = Asked("impersonate")
    confirm(asked, username="u", groups=["g"], extra={"a.io/k": ["v"]}, uid="1")
    auth = "authentication.k8s.io"
    assert asked.log == [
        ("impersonate-on:user-info:list", "", "pods", "", "n", ""),
        ("impersonate:user-info", auth, "users", "", "", "u"),
        ("impersonate:user-info", auth, "uids", "", "", "1"),
        ("impersonate:user-info", auth, "groups", "", "", "g"),
        ("impersonate:user-info", auth, "userextras", "a.io/k", "", "v"),
    ]


def test_the_unconstrained_right_is_enough() -> None:
    asked = Asked("impersonate:none", "impersonate-on:none")
    asked.granted = ("impersonate",)
    confirm(asked, username="u", groups=["system:masters"])
    assert asked.log[-2:] == [
        ("impersonate", "", "users", "", "", "u"),
        ("impersonate", "", "groups", "", "", "system:masters"),
    ]


@pytest.mark.parametrize(
    ("username", "mode", "resource"),
    [
        ("system:serviceaccount:n:s", "serviceaccount", "serviceaccounts"),
        ("system:node:x", "arbitrary-node", "nodes"),
        ("u", "user-info", "users"),
    ],
)
def test_the_first_mode_tells_what_is_missing(username: str, mode: str, resource: str) -> None:
    asked = Asked("nothing")
    with pytest.raises(Forbidden) as caught:
        confirm(asked, username=username)
    assert f"cannot impersonate-on:{mode}:list resource" in caught.value.message
    granted = Asked(f"impersonate-on:{mode}:list", f"impersonate:{mode}")
    confirm(granted, username=username)
    assert granted.log[-1][:3] == (f"impersonate:{mode}", "authentication.k8s.io", resource)


def test_many_groups_are_asked_for_at_once() -> None:
    asked = Asked("impersonate")
    confirm(asked, username="u", groups=["a", "b", "c", "d"])
    assert [entry[-1] for entry in asked.log if entry[2] == "groups"] == ["*"]


def test_a_service_account_on_a_node_may_be_that_node() -> None:
    extra = {"authentication.kubernetes.io/node-name": ("x",)}
    agent = Identity("system:serviceaccount:n:agent", "", (), extra)
    asked = Asked("impersonate-on:associated-node:list", "impersonate:associated-node")
    confirm(asked, agent, username="system:node:x")
    assert asked.log[-1][-1] == "*"
    with pytest.raises(Forbidden):
        confirm(asked, agent, username="system:node:y")


@pytest.mark.parametrize("extra", [{"plain": ["v"]}, {"a.io/k": [""]}, {"a.io/k": []}, {"A.io/k": ["v"]}])
def test_extra_that_constrained_modes_refuse(extra: dict[str, list[str]]) -> None:
    asked = Asked("impersonate-on", "impersonate:")
    with pytest.raises(Forbidden, match="in extra is not allowed"):
        confirm(asked, username="u", extra=extra)


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
    resource = 'resource "selfsubjectreviews" in API group "authentication.k8s.io" at the cluster scope'
    text = f'User "user" cannot impersonate-on:user-info:create {resource}'
    assert (reply.code, reply.message) == (403, f"selfsubjectreviews.authentication.k8s.io is forbidden: {text}")


async def test_masters_of_a_logical_cluster_end_there(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    request = client.request("GET", CONFIGMAPS)
    request.impersonation = orjson.dumps({"username": "x", "groups": ["system:masters"]})
    found = decode_identity(impersonation.effective(client.shard, request, LIST).identity)
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None and found == Identity(
        "x", "", ("system:masters", "system:authenticated"), {}, cluster.id
    )


async def test_who_acts_as_a_node_by_that_right_is_held_to_what_nodes_may(client: ApiClient) -> None:
    """Whatever groups others have: as a node one has that of nodes."""
    await client.create(CONFIGMAPS, configmap("a"))
    request = client.request("POST", REVIEWS, {})
    request.impersonation = orjson.dumps({"username": "system:node:n"})
    status = (await client.send(request)).json["status"]
    assert status["userInfo"]["groups"] == ["system:nodes", "system:authenticated"]
    request.impersonation = orjson.dumps({"username": "system:node:n", "groups": ["g"]})
    assert (await client.send(request)).json["status"]["userInfo"]["groups"] == ["g", "system:authenticated"]

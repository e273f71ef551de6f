from typing import Any

import pytest

from kcpshard.api.requests import Identity
from tests.contracts.api_client import ADMIN, ApiClient

AUTHORIZATION, AUTHENTICATION = "/apis/authorization.k8s.io/v1", "/apis/authentication.k8s.io/v1"
MINE, ANY = AUTHORIZATION + "/selfsubjectaccessreviews", AUTHORIZATION + "/subjectaccessreviews"
LOCAL = AUTHORIZATION + "/namespaces/default/localsubjectaccessreviews"
ATTRIBUTES = {"verb": "get", "resource": "pods", "namespace": "default"}


RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.mark.parametrize(
    ("url", "spec", "status"),
    [
        pytest.param(MINE, {"resourceAttributes": ATTRIBUTES}, {"allowed": True}, id="an administrator"),
        pytest.param(MINE, {"nonResourceAttributes": {"path": "/", "verb": "get"}}, {"allowed": True}, id="a path"),
        pytest.param(ANY, {"resourceAttributes": ATTRIBUTES, "user": "jane"}, {"allowed": False}, id="nobody"),
        pytest.param(
            LOCAL, {"resourceAttributes": ATTRIBUTES, "groups": ["system:masters"]}, {"allowed": True}, id="their group"
        ),
        pytest.param(
            ANY,
            {"resourceAttributes": {"verb": "list", "resource": "nodes"}, "user": "system:kube-scheduler"},
            {
                "allowed": True,
                "reason": 'RBAC: allowed by ClusterRoleBinding "system:kube-scheduler" of ClusterRole '
                '"system:kube-scheduler" to User "system:kube-scheduler"',
            },
            id="by the template",
        ),
    ],
)
async def test_access(client: ApiClient, url: str, spec: dict[str, Any], status: dict[str, Any]) -> None:
    reply = await client.do("POST", url, {"spec": spec})
    assert (reply.code, reply.json["status"]) == (201, status)
    assert not reply.waited and client.shard.store.pending_cluster("root") is None


async def test_a_missing_role_is_told(client: ApiClient) -> None:
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gone"}
    await client.create(
        RBAC + "/clusterrolebindings", {"metadata": {"name": "b"}, "roleRef": role, "subjects": [subject]}
    )
    reply = await client.do("POST", ANY, {"spec": {"resourceAttributes": ATTRIBUTES, "user": "jane"}})
    reason = 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'
    assert reply.json["status"] == {"allowed": False, "reason": reason}
    jane = ApiClient(client.shard, identity=Identity("jane", "", ("system:authenticated",)))
    rules = await jane.do("POST", AUTHORIZATION + "/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    assert rules.json["status"]["evaluationError"] == reason.removeprefix("RBAC: ")
    assert sorted(r["resources"] for r in rules.json["status"]["resourceRules"]) == [
        ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        ["selfsubjectreviews"],
    ]


@pytest.mark.parametrize(
    ("url", "body", "code", "field"),
    [
        pytest.param(MINE, {"spec": {}}, 422, "spec.resourceAttributes", id="nothing"),
        pytest.param(
            MINE,
            {"spec": {"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"verb": "get"}}},
            422,
            "spec.nonResourceAttributes",
            id="both",
        ),
        pytest.param(
            MINE, {"metadata": {"name": "x"}, "spec": {"resourceAttributes": ATTRIBUTES}}, 422, "metadata", id="name"
        ),
        pytest.param(ANY, {"spec": {"resourceAttributes": ATTRIBUTES}}, 422, "spec.user", id="nobody"),
        pytest.param(
            LOCAL,
            {"spec": {"resourceAttributes": {"namespace": "other"}, "user": "j"}},
            422,
            "spec.resourceAttributes.namespace",
            id="another namespace",
        ),
        pytest.param(AUTHORIZATION + "/selfsubjectrulesreviews", {"spec": {}}, 400, None, id="rules without namespace"),
        pytest.param(AUTHENTICATION + "/tokenreviews", {"spec": {}}, 400, None, id="no token"),
    ],
)
async def test_refusals(client: ApiClient, url: str, body: Any, code: int, field: str | None) -> None:
    reply = await client.do("POST", url, body)
    assert reply.code == code
    assert field is None or reply.json["details"]["causes"][0]["field"] == field


async def test_rules(client: ApiClient) -> None:
    reply = await client.do("POST", AUTHORIZATION + "/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in reply.json["status"]["resourceRules"]


async def test_who_am_i(client: ApiClient) -> None:
    reply = await client.do("POST", AUTHENTICATION + "/selfsubjectreviews", {})
    assert reply.json["status"]["userInfo"] == {"username": "admin", "uid": "admin", "groups": list(ADMIN.groups)}


async def test_a_token_is_worth_what_the_front_found(client: ApiClient) -> None:
    request = client.request("POST", AUTHENTICATION + "/tokenreviews", {"spec": {"token": "t"}})
    assert (await client.send(request)).json["status"]["error"] == "invalid bearer token"
    request.token_review = b'{"authenticated":true,"user":{"username":"jane"}}'
    assert (await client.send(request)).json["status"]["user"] == {"username": "jane"}

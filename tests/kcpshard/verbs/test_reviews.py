from typing import Any

import pytest

from tests.contracts.api_client import ADMIN, ApiClient

AUTHORIZATION, AUTHENTICATION = "/apis/authorization.k8s.io/v1", "/apis/authentication.k8s.io/v1"
MINE, ANY = AUTHORIZATION + "/selfsubjectaccessreviews", AUTHORIZATION + "/subjectaccessreviews"
LOCAL = AUTHORIZATION + "/namespaces/default/localsubjectaccessreviews"
ATTRIBUTES = {"verb": "get", "resource": "pods", "namespace": "default"}


@pytest.mark.parametrize(
    ("url", "spec"),
    [
        (MINE, {"resourceAttributes": ATTRIBUTES}),
        (MINE, {"nonResourceAttributes": {"path": "/", "verb": "get"}}),
        (ANY, {"resourceAttributes": ATTRIBUTES, "user": "jane"}),
        (LOCAL, {"resourceAttributes": ATTRIBUTES, "groups": ["g"]}),
    ],
)
async def test_everybody_may_do_everything_for_now(client: ApiClient, url: str, spec: dict[str, Any]) -> None:
    reply = await client.do("POST", url, {"spec": spec})
    assert (reply.code, reply.json["status"]) == (201, {"allowed": True})
    assert not reply.waited and client.shard.store.pending_cluster("root") is None


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
    assert reply.json["status"]["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]


async def test_who_am_i(client: ApiClient) -> None:
    reply = await client.do("POST", AUTHENTICATION + "/selfsubjectreviews", {})
    assert reply.json["status"]["userInfo"] == {"username": "admin", "uid": "admin", "groups": list(ADMIN.groups)}


async def test_a_token_is_worth_what_the_front_found(client: ApiClient) -> None:
    request = client.request("POST", AUTHENTICATION + "/tokenreviews", {"spec": {"token": "t"}})
    assert (await client.send(request)).json["status"]["error"] == "invalid bearer token"
    request.token_review = b'{"authenticated":true,"user":{"username":"jane"}}'
    assert (await client.send(request)).json["status"]["user"] == {"username": "jane"}

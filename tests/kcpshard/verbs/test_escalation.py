"""The whole of it beside a real kube-apiserver: tests/differential/test_rbac_matrix.py. Here what that cannot ask."""

from typing import Any

import pytest

from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, configmap

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"


def binding(name: str, role: str) -> dict[str, Any]:
    subject = {"kind": "User", "apiGroup": GROUP, "name": "user"}
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}
    return {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}


@pytest.fixture
async def writer(client: ApiClient) -> ApiClient:
    """May write roles and bindings, and nothing else."""
    await client.create(CONFIGMAPS, configmap("a"))
    rule = {"verbs": ["create", "update", "patch", "get"], "apiGroups": [GROUP], "resources": ["*"]}
    await client.create(RBAC + "/clusterroles", {"metadata": {"name": "writer"}, "rules": [rule]})
    await client.create(RBAC + "/clusterrolebindings", binding("writer", "writer"))
    return ApiClient(client.shard, identity=USER)


READ = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}


async def test_nobody_grants_what_they_do_not_hold(client: ApiClient, writer: ApiClient) -> None:
    reply = await writer.do("POST", RBAC + "/clusterroles", {"metadata": {"name": "r"}, "rules": [READ]})
    assert (reply.code, reply.message) == (
        403,
        'clusterroles.rbac.authorization.k8s.io "r" is forbidden: user "user" (groups=["system:authenticated"]) is '
        'attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["get"]}',
    )
    assert (await writer.do("POST", RBAC + "/clusterrolebindings", binding("b", "cluster-admin"))).code == 403
    await client.create(RBAC + "/clusterrolebindings", binding("view", "view"))
    assert (await writer.do("POST", RBAC + "/clusterroles", {"metadata": {"name": "r"}, "rules": [READ]})).code == 201


@pytest.mark.parametrize(("verb", "code"), [("escalate", 201), ("bind", 403)])
async def test_who_may_escalate_may(client: ApiClient, writer: ApiClient, verb: str, code: int) -> None:
    rule = {"verbs": [verb], "apiGroups": [GROUP], "resources": ["clusterroles"]}
    await client.create(RBAC + "/clusterroles", {"metadata": {"name": "more"}, "rules": [rule]})
    await client.create(RBAC + "/clusterrolebindings", binding("more", "more"))
    reply = await writer.do("POST", RBAC + "/clusterroles", {"metadata": {"name": "r"}, "rules": [READ]})
    assert reply.code == code
    bound = await writer.do("POST", RBAC + "/clusterrolebindings", binding("b", "cluster-admin"))
    assert bound.code == (403 if code == 201 else 201)


async def test_what_garbage_collection_changes_is_no_grant(client: ApiClient, writer: ApiClient) -> None:
    await client.create(RBAC + "/clusterroles", {"metadata": {"name": "r", "finalizers": ["x/y"]}, "rules": [READ]})
    role = (await writer.do("GET", RBAC + "/clusterroles/r")).json
    role["metadata"]["finalizers"] = []
    assert (await writer.do("PUT", RBAC + "/clusterroles/r", role)).code == 200
    role["metadata"] = {"name": "r", "labels": {"a": "b"}}
    assert (await writer.do("PUT", RBAC + "/clusterroles/r", role)).code == 403


async def test_an_update_that_creates_needs_both_rights(client: ApiClient, writer: ApiClient) -> None:
    await client.do("PATCH", RBAC + "/clusterroles/writer", UPDATE_ONLY, "application/merge-patch+json")
    reply = await writer.do("PUT", RBAC + "/clusterroles/new", {"metadata": {"name": "new"}, "rules": []})
    assert (reply.code, "cannot create resource" in reply.message) == (403, True)


UPDATE_ONLY = {"rules": [{"verbs": ["update"], "apiGroups": [GROUP], "resources": ["*"]}]}

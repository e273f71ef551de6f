from typing import Any

import pytest

from kcpshard.api.requests import Identity
from tests.contracts.api_client import ApiClient
from tests.contracts.full_cluster import full_cluster

G = "/apis/admissionregistration.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
WRITERS = [{"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]}]
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}]


def policy(param_kind: Any = None) -> dict[str, Any]:
    spec = {"matchConstraints": {"resourceRules": RULES}, "validations": [{"expression": "true"}]}
    kind = param_kind or {"apiVersion": "v1", "kind": "ConfigMap"}
    return {"metadata": {"name": "p"}, "spec": {**spec, "paramKind": kind}}


def binding(**reference: Any) -> dict[str, Any]:
    spec = {"policyName": "p", "validationActions": ["Deny"]}
    given = {"parameterNotFoundAction": "Deny", **reference}
    return {"metadata": {"name": "b"}, "spec": {**spec, "paramRef": given}}


async def as_user(admin: ApiClient, rules: list[Any]) -> ApiClient:
    """Somebody who may write policies, and what `rules` say."""
    await admin.create(f"{RBAC}/clusterroles", {"metadata": {"name": "r"}, "rules": [*WRITERS, *rules]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "u"}
    body = {"metadata": {"name": "r"}, "roleRef": reference, "subjects": [subject]}
    await admin.create(f"{RBAC}/clusterrolebindings", body)
    return ApiClient(admin.shard, admin.cluster, Identity("u", "", ("system:authenticated",)))


READ = {"apiGroups": [""], "resources": ["configmaps"]}


@pytest.mark.parametrize(
    ("rules", "kind", "code"),
    [
        ([], None, 422),
        ([{**READ, "verbs": ["get"]}], None, 201),
        ([{**READ, "verbs": ["get"], "resourceNames": ["a"]}], None, 422),
        ([{**READ, "verbs": ["get"]}], {"apiVersion": "a.b/v1", "kind": "Unknown"}, 422),
    ],
)
async def test_the_kind_of_a_policys_parameters_must_be_readable(rules: list[Any], kind: Any, code: int) -> None:
    async with full_cluster() as admin:
        user = await as_user(admin, rules)
        reply = await user.do("POST", f"{G}/validatingadmissionpolicies", policy(kind))
        assert reply.code == code
        if code == 422:
            assert [(c["reason"], c["field"]) for c in reply.json["details"]["causes"]] == [
                ("FieldValueForbidden", "spec.paramKind")
            ]


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ({"name": "a", "namespace": "default"}, 201),
        ({"name": "b", "namespace": "default"}, 422),
        ({"selector": {}}, 422),
    ],
)
async def test_what_a_binding_refers_to_must_be_readable(reference: dict[str, Any], code: int) -> None:
    async with full_cluster() as admin:
        await admin.create(f"{G}/validatingadmissionpolicies", policy())
        user = await as_user(admin, [{**READ, "verbs": ["get"], "resourceNames": ["a"]}])
        assert (await user.do("POST", f"{G}/validatingadmissionpolicybindings", binding(**reference))).code == code


async def test_without_the_policy_everything_must_be_readable() -> None:
    async with full_cluster() as admin:
        user = await as_user(admin, [{**READ, "verbs": ["*"]}])
        reply = await user.do("POST", f"{G}/validatingadmissionpolicybindings", binding(name="a", namespace="default"))
        assert reply.code == 422
        assert "unable to get policy p to determine minimum required permissions" in reply.message

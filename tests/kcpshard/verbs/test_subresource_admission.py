"""What a real kube-apiserver's admission says of the same is in tests/differential/admission_subresources.py."""

from typing import Any

import pytest

from tests.contracts.api_client import ApiClient
from tests.contracts.full_cluster import PODS, full_cluster, pod

G = "/apis/admissionregistration.k8s.io/v1"
TOKEN = "/api/v1/namespaces/default/serviceaccounts/default/token"
BINDING = {"metadata": {"name": "a"}, "target": {"name": "n"}}
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def deny(client: ApiClient, resource: str, expression: str, group: str = "") -> None:
    rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": ["*"], "resources": [resource]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": expression, "message": "no"}]}
    await client.create(f"{G}/validatingadmissionpolicies", {"metadata": {"name": "p"}, "spec": spec})
    bound = {"policyName": "p", "validationActions": ["Deny"]}
    await client.create(f"{G}/validatingadmissionpolicybindings", {"metadata": {"name": "p"}, "spec": bound})


@pytest.mark.parametrize(
    ("resource", "expression", "url", "body"),
    [
        ("pods/binding", "object.target.name != 'n'", f"{PODS}/a/binding", BINDING),
        ("pods/eviction", "object.kind != 'Eviction'", f"{PODS}/a/eviction", {"metadata": {"name": "a"}}),
        ("pods/exec", "object.command != ['sh', '-c']", f"{PODS}/a/exec?command=sh&command=-c", None),
        ("serviceaccounts/token", "object.spec.expirationSeconds != 3600", TOKEN, {"spec": {}}),
    ],
)  # fmt: skip
async def test_policies_are_asked_about_what_the_subresource_takes(
    resource: str, expression: str, url: str, body: Any
) -> None:
    async with full_cluster() as client:
        await client.create(PODS, pod("a"))
        await deny(client, resource, expression)
        reply = await client.do("POST", url, body)
        assert (reply.code, reply.json["reason"]) == (422, "Invalid")
        assert reply.message.endswith("denied request: no")
        left = await client.get(f"{PODS}/a")
        assert "nodeName" not in left["spec"] and "deletionTimestamp" not in left["metadata"]


async def test_of_a_scale_they_see_the_scale_before_and_after() -> None:
    async with full_cluster() as client:
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        await client.create(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec})
        seen = "object.kind == 'Scale' && object.spec.replicas <= oldObject.spec.replicas"
        await deny(client, "deployments/scale", seen, "apps")
        scale = {"metadata": {"name": "d"}, "spec": {"replicas": 3}}
        assert (await client.do("PUT", f"{DEPLOYMENTS}/d/scale", scale)).code == 422
        assert (await client.do("PUT", f"{DEPLOYMENTS}/d/scale", {**scale, "spec": {"replicas": 1}})).code == 200
        assert (await client.get(f"{DEPLOYMENTS}/d"))["spec"]["replicas"] == 1


async def test_what_policies_change_counts_and_who_bound_is_known() -> None:
    async with full_cluster() as client:
        await client.create(PODS, pod("a"))
        rule = {"apiGroups": [""], "apiVersions": ["*"], "operations": ["*"], "resources": ["pods/binding"]}
        change = {"expression": "[JSONPatch{op: 'replace', path: '/target/name', value: 'other'}]"}
        mutations = [{"patchType": "JSONPatch", "jsonPatch": change}]
        constraints = {"matchConstraints": {"resourceRules": [rule]}}
        spec = {**constraints, "mutations": mutations, "reinvocationPolicy": "Never"}
        await client.create(f"{G}/mutatingadmissionpolicies", {"metadata": {"name": "m"}, "spec": spec})
        bound = {"metadata": {"name": "m"}, "spec": {"policyName": "m"}}
        await client.create(f"{G}/mutatingadmissionpolicybindings", bound)
        await client.create(f"{PODS}/a/binding", BINDING)
        assert (await client.get(f"{PODS}/a"))["spec"]["nodeName"] == "other"
        history = (await client.do("GET", f"{PODS}/a?history=true")).json
        assert {entry["user"] for entry in history["items"]} == {client.identity.username}


async def test_what_is_created_and_never_stored_has_managers_too() -> None:
    """As kube-apiserver answers a review and a request for a token; an Eviction has none."""
    async with full_cluster() as client:
        spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
        review = await client.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": spec})
        (entry,) = review["metadata"]["managedFields"]
        assert (entry["operation"], entry["apiVersion"]) == ("Update", "authorization.k8s.io/v1")
        fields = {"f:spec": {"f:resourceAttributes": {".": {}, "f:resource": {}, "f:verb": {}}}}
        assert entry["fieldsV1"] == fields and "subresource" not in entry

# ruff: noqa: E501 - a table: one row per fact is worth long lines
from typing import Any

import pytest

from kcpshard.definitions.kinds.admission import GROUP, ROWS

RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


def faults(kind: str, **content: Any) -> list[str]:
    obj = {"kind": kind, "metadata": {"name": "x"}, **content}
    row = ROWS[GROUP, kind]
    for fill in row.default:
        fill(obj)
    return [fault.field for check in row.validate for fault in check(obj)]


def hook(**more: Any) -> dict[str, Any]:
    return {
        "name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://x/y"}, "rules": [RULE], **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        pytest.param({}, [], id="good"),
        pytest.param({"matchConditions": [{"name": "a", "expression": "1"}]}, ["matchConditions[0].expression"], id="cel"),
        pytest.param({"clientConfig": {"url": "http://x"}}, ["clientConfig.url"], id="plain http"),
        pytest.param({"clientConfig": {"url": "https://u:p@x/?q#f"}}, ["clientConfig.url"] * 3, id="a url with more"),
        pytest.param(
            {"clientConfig": {"service": {"name": "a", "namespace": "b", "path": "a//b", "port": 0}}},
            ["clientConfig.service.port", *["clientConfig.service.path"] * 3], id="service",
        ),
        pytest.param({"admissionReviewVersions": ["v1", "v1", "X"]}, ["admissionReviewVersions[1]", "admissionReviewVersions[2]"], id="versions"),
        pytest.param({"timeoutSeconds": 31}, ["timeoutSeconds"], id="timeout"),
    ],
)  # fmt: skip
def test_webhooks(more: dict[str, Any], wanted: list[str]) -> None:
    found = faults("ValidatingWebhookConfiguration", webhooks=[hook(**more)])
    assert found == [f"webhooks[0].{path}" for path in wanted]


def test_two_webhooks_of_one_name() -> None:
    assert faults("MutatingWebhookConfiguration", webhooks=[hook(), hook()]) == ["webhooks[1].name"]
    found = faults("MutatingWebhookConfiguration", webhooks=[hook(reinvocationPolicy="Often")])
    assert found == ["webhooks[0].reinvocationPolicy"]


@pytest.mark.parametrize(
    ("mutation", "wanted"),
    [
        ({"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'test', path: '/'}]"}}, ""),
        ({"patchType": "JSONPatch", "jsonPatch": {"expression": "[1]"}}, "jsonPatch.expression"),
        ({"patchType": "JSONPatch"}, "jsonPatch"),
        ({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": " "}}, "applyConfiguration.expression"),
        ({"patchType": "Other"}, "patchType"),
        ({}, "patchType"),
    ],
)  # fmt: skip
def test_mutations(mutation: dict[str, Any], wanted: str) -> None:
    spec = {
        "matchConstraints": {"resourceRules": [RULE]}, "reinvocationPolicy": "Never", "mutations": [mutation],
    }  # fmt: skip
    found = faults("MutatingAdmissionPolicy", spec=spec)
    assert found == ([f"spec.mutations[0].{wanted}"] if wanted else [])


def test_a_policy_without_a_spec_is_refused() -> None:
    for kind in ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"):
        assert "spec.matchConstraints" in faults(kind)


def test_a_mutating_policy_does_not_take_deletions() -> None:
    rule = {**RULE, "operations": ["DELETE"]}
    found = faults(
        "MutatingAdmissionPolicyBinding", spec={"policyName": "x", "matchResources": {"resourceRules": [rule]}}
    )
    assert found == ["spec.matchResources.resourceRules.operations"]


def test_a_binding_says_what_to_do() -> None:
    assert faults("ValidatingAdmissionPolicyBinding", spec={"policyName": "x"}) == ["spec.validationActions"]

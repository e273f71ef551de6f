from typing import Any

import pytest

from kcpshard.admission.matching import matched_resource, resource_by_rules, takes
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap
from tests.kcpshard.admission.test_subject import subject, type_of


def rule(resources: str = "configmaps", **more: Any) -> dict[str, Any]:
    return {
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": resources.split(","), **more
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param(rule(), True, id="named"),
        pytest.param(rule("*"), True, id="every resource"),
        pytest.param(rule("configmaps/status"), False, id="a subresource is something else"),
        pytest.param(rule("configmaps/*"), True, id="all subresources and none"),
        pytest.param(rule("*/status"), False, id="a subresource of all"),
        pytest.param(rule(operations=["DELETE"]), False, id="another operation"),
        pytest.param(rule(apiVersions=["v2"]), False, id="another version"),
        pytest.param(rule(apiGroups=["apps"]), False, id="another group"),
        pytest.param(rule(scope="Cluster"), False, id="in a namespace"),
        pytest.param(rule(scope="Namespaced"), True, id="namespaced"),
    ],
)
async def test_a_rule(full: ApiClient, given: dict[str, Any], wanted: bool) -> None:
    await full.create(CONFIGMAPS, configmap("a"))
    found = subject(full, type_of(full, "configmaps"))
    assert takes(given, found, found.resource) is wanted


async def test_a_namespace_itself_counts_as_cluster_scoped(full: ApiClient) -> None:
    await full.create(CONFIGMAPS, configmap("a"))
    found = subject(full, type_of(full, "namespaces"), "UPDATE", "default")
    given = rule("namespaces", operations=["UPDATE"])
    assert takes({**given, "scope": "Cluster"}, found, found.resource)
    assert not takes({**given, "scope": "Namespaced"}, found, found.resource)


async def test_other_versions_match_unless_the_policy_is_exact(full: ApiClient) -> None:
    await full.create(CONFIGMAPS, configmap("a"))
    found = subject(full, type_of(full, "events"))
    rules = [rule("events", apiGroups=["events.k8s.io"])]
    matched = matched_resource(found, {"resourceRules": rules, "matchPolicy": "Equivalent"})
    assert matched is not None and matched.api_version == "events.k8s.io/v1"
    assert matched_resource(found, {"resourceRules": rules, "matchPolicy": "Exact"}) is None
    assert resource_by_rules(found, rules, False) is matched
    assert resource_by_rules(found, rules, True) is None


async def test_what_is_excluded_does_not_match(full: ApiClient) -> None:
    await full.create(CONFIGMAPS, configmap("a"))
    found = subject(full, type_of(full, "configmaps"))
    match = {"resourceRules": [rule()], "excludeResourceRules": [rule(resourceNames=["a"])]}
    assert matched_resource(found, match) is None
    assert matched_resource(found, {**match, "excludeResourceRules": [rule(resourceNames=["b"])]}) is not None
    assert matched_resource(found, {"resourceRules": [rule()], "objectSelector": {"matchLabels": {"a": "b"}}}) is None

from typing import Any

import pytest

from kcpshard.schema.pulled_apis import (
    ANY_SCHEMA,
    Discovered,
    definition_of,
    discovered,
    is_protected,
    legacy_discovered,
    of_definition,
    of_openapi,
    wanted,
)

AGGREGATED = {
    "items": [
        {
            "metadata": {"name": "apps"},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": "deployments",
                            "singularResource": "deployment",
                            "responseKind": {"kind": "Deployment"},
                            "scope": "Namespaced",
                            "verbs": ["get", "list"],
                            "shortNames": ["deploy"],
                            "categories": ["all"],
                            "subresources": [{"subresource": "scale"}, {"subresource": "status"}],
                        }
                    ],
                },
                {"version": "v1beta1", "resources": [{"resource": "deployments"}]},
            ],
        }
    ]
}
LEGACY = {
    "resources": [
        {"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["get", "list"],
         "shortNames": ["deploy"],
         "singularName": "deployment", "categories": ["all"]},
        {"name": "deployments/status", "kind": "Deployment"},
        {"name": "deployments/scale", "kind": "Scale"},
    ]
}  # fmt: skip
SCHEMA = {"type": "object", "properties": {"spec": {"type": "object"}}}


def deployments() -> Discovered:
    return next(discovered(AGGREGATED))


def test_the_preferred_version_of_each_type() -> None:
    found = list(discovered(AGGREGATED))
    assert [(f.group_resource, f.version, f.kind) for f in found] == [("deployments.apps", "v1", "Deployment")]


def test_both_forms_of_discovery_say_the_same() -> None:
    old = next(legacy_discovered("apps", LEGACY, "v1"))
    new = deployments()
    assert old._replace(subresources=()) == new._replace(subresources=())
    assert set(old.subresources) == set(new.subresources)


@pytest.mark.parametrize(
    ("names", "count"),
    [(["deployments.apps"], 1), (["deployments"], 1), (["pods"], 0), ([], 1), (["deployments.x"], 0)],
)
def test_what_is_wanted(names: list[str], count: int) -> None:
    assert len(wanted(discovered(AGGREGATED), names)) == count


def definition(**status: Any) -> dict[str, Any]:
    column = {"name": "Size", "type": "string", "jsonPath": ".spec.size"}
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": SCHEMA}, "additionalPrinterColumns": [column]}]
    return {"spec": {"versions": versions}, "status": status}


def test_a_crd_of_the_cluster_says_it_all() -> None:
    api = of_definition(deployments(), definition())
    assert api is not None and api.schema == SCHEMA and [c["name"] for c in api.columns] == ["Size"]
    made = definition_of(api)
    assert made["metadata"] == {"name": "deployments.apps"}
    version = made["spec"]["versions"][0]
    assert (
        version["subresources"]["scale"]["specReplicasPath"] == ".spec.replicas" and "status" in version["subresources"]
    )
    assert version["additionalPrinterColumns"] == list(api.columns)
    assert made["spec"]["names"] == {
        "plural": "deployments",
        "singular": "deployment",
        "kind": "Deployment",
        "listKind": "DeploymentList",
        "shortNames": ["deploy"],
        "categories": ["all"],
    }


def test_a_crd_without_structure_or_version() -> None:
    broken = definition(conditions=[{"type": "NonStructuralSchema", "status": "True"}])
    api = of_definition(deployments(), broken)
    assert api is not None and api.schema == ANY_SCHEMA
    assert of_definition(deployments()._replace(version="v2"), definition()) is None


def test_a_kind_that_openapi_does_not_describe() -> None:
    assert of_openapi(deployments(), {"definitions": {}}) is None


def test_the_core_group_has_a_name_in_names_only() -> None:
    api = of_definition(deployments()._replace(group="", plural="pods", kind="Pod"), definition())
    assert api is not None
    made = definition_of(api)
    assert made["metadata"]["name"] == "pods.core" and made["spec"]["group"] == ""


def test_protected_groups_are_approved() -> None:
    assert is_protected("networking.k8s.io") and is_protected("k8s.io") and not is_protected("apps")
    api = of_definition(deployments()._replace(group="x.kubernetes.io"), definition())
    assert api is not None and "api-approved.kubernetes.io" in definition_of(api)["metadata"]["annotations"]

# ruff: noqa: E501 - a table
from typing import Any

import pytest

from kcpshard.admission.policy_patches import MutationFault, merged, patched
from kcpshard.cel.values import Struct, UInt, parse_quantity
from kcpshard.definitions.catalog import Catalog

DEPLOYMENT = Catalog("full").find(None, "apps", "v1", "deployments")
OBJ = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 1}}


def step(**fields: Any) -> Struct:
    return Struct("JSONPatch", fields)


def test_a_patch_makes_a_new_object() -> None:
    found = patched(OBJ, [step(op="replace", path="/spec/replicas", value=UInt(3))])
    assert found["spec"] == {"replicas": 3} and OBJ["spec"] == {"replicas": 1}


def test_a_test_that_fails_changes_nothing() -> None:
    steps = [step(op="test", path="/spec/replicas", value=9), step(op="remove", path="/spec")]
    assert patched(OBJ, steps) is OBJ


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        pytest.param(step(op="remove", path="/none"), "Unable to remove nonexistent key: none", id="absent"),
        pytest.param(step(op="add", path="/a/b", value=1), 'doc is missing path: "/a/b"', id="no parent"),
        pytest.param(step(op="jump", path="/a"), "Unexpected kind: jump", id="unknown"),
        pytest.param(step(op="add", path="/a", value=parse_quantity("1")), "'Quantity'", id="no JSON"),
        pytest.param({"op": "add"}, "got element of map", id="no step"),
    ],
)
def test_what_cannot_be_patched(made: Any, fault: str) -> None:
    with pytest.raises(MutationFault, match=fault):
        patched(OBJ, [made])


def configuration(**fields: Any) -> Struct:
    return Struct("Object", {"spec": Struct("Object.spec", fields)})


def test_a_configuration_is_merged_by_the_schema() -> None:
    assert DEPLOYMENT is not None
    assert merged(DEPLOYMENT, OBJ, configuration(paused=True))["spec"] == {"replicas": 1, "paused": True}


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        pytest.param(Struct("Object", {"spec": Struct("Object.status", {})}), "unexpected type name", id="names"),
        pytest.param(configuration(nothing=1), "field not declared in schema", id="unknown"),
        pytest.param(configuration(selector={"matchLabels": {}}), "may not mutate atomic .*: .spec.selector", id="atomic"),
        pytest.param({}, "unsupported return type", id="a map"),
    ],
)  # fmt: skip
def test_what_cannot_be_merged(made: Any, fault: str) -> None:
    assert DEPLOYMENT is not None
    with pytest.raises(MutationFault, match=fault):
        merged(DEPLOYMENT, OBJ, made)

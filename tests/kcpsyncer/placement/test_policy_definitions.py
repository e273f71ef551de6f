"""The CRDs are accepted by a server, fill in what is left out, and refuse what is none."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

import kcpfront
from kcp.cluster_access import ApiFailure, ClusterAccess, connect
from kcpsyncer.placement.model import Guarantee, Mode
from kcpsyncer.placement.policies import read_policy
from kcpsyncer.placement.policy_definitions import policy_definitions

POLICIES = "/apis/placement.kcp.dev/v1alpha1/clusterplacementpolicies"
NAMESPACED = "/apis/placement.kcp.dev/v1alpha1/namespaces/default/placementpolicies"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def access() -> Iterator[ClusterAccess]:
    with kcpfront.embedded() as server:
        found = connect(str(server.create_cluster().kubeconfig), None, None)
        for definition in policy_definitions():
            found.request("POST", CRDS, body=definition)
        end = time.monotonic() + 10
        while time.monotonic() < end and not (served(found, POLICIES) and served(found, NAMESPACED)):
            time.sleep(0.02)
        yield found


def served(access: ClusterAccess, path: str) -> bool:
    try:
        return str(access.request("GET", path)["kind"]).endswith("List")
    except ApiFailure:
        return False


def document(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"generateName": "p-"}
    return {"apiVersion": "placement.kcp.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def test_defaults_are_those_of_the_reader(access: ClusterAccess) -> None:
    for kind, path in (("ClusterPlacementPolicy", POLICIES), ("PlacementPolicy", NAMESPACED)):
        made = access.request("POST", path, body=document(kind, {}))
        assert made["spec"] == {"mode": "Divide", "rebalance": "Always", "failover": {"guarantee": "AtLeast"}}
        read = read_policy(made).policy
        assert (read.mode, read.guarantee) == (Mode.DIVIDE, Guarantee.AT_LEAST)
        assert read == read_policy({"metadata": {"name": "p"}}).policy


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"mode": "Everywhere"}, "spec.mode"),
        ({"preferences": [{"weight": 101, "clusterSelector": {}}]}, "spec.preferences[0].weight"),
        ({"spreads": [{"maxSkew": 1}]}, "spec.spreads[0].topologyKey"),
        ({"overrides": [{}]}, "spec.overrides[0].patches"),
        ({"overrides": [{"patches": [{"op": "add", "path": "x"}]}]}, "spec.overrides[0].patches[0].path"),
        ({"overrides": [{"patches": [{"op": "move", "path": "/x"}]}]}, "spec.overrides[0].patches[0]"),
        ({"shares": [{"minReplicas": 3, "maxReplicas": 2}]}, "spec.shares[0].maxReplicas"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "spec.tolerations[0].value"),
        ({"tolerations": [{"value": "b"}]}, "spec.tolerations[0].operator"),
        (
            {"clusters": {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}},
            "spec.clusters.selector.matchExpressions[0]",
        ),
    ],
)
def test_the_schema_refuses(access: ClusterAccess, spec: dict[str, Any], field: str) -> None:
    with pytest.raises(ApiFailure) as refused:
        access.request("POST", POLICIES, body=document("ClusterPlacementPolicy", spec))
    assert refused.value.code == 422
    causes = [cause["field"] for cause in refused.value.status["details"]["causes"]]
    assert [each for each in causes if each != "<nil>"] == [field]  # nil: that expressions were not looked at


def test_both_kinds_have_one_schema() -> None:
    namespaced, for_all = (each["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for each in policy_definitions())
    assert {**namespaced, "description": ""} == {**for_all, "description": ""}

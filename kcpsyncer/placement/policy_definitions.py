"""The CRDs of placement policies: one schema, for one namespace and for all. Pure but for reading its own file."""

from copy import deepcopy
from importlib.resources import files
from typing import Any

import yaml

_FILE = "placement.kcp.dev_placementpolicies.yaml"


def policy_definitions() -> list[dict[str, Any]]:
    namespaced: dict[str, Any] = yaml.safe_load((files("kcpsyncer") / "data" / _FILE).read_text())
    for_all = deepcopy(namespaced)
    for_all["metadata"]["name"] = "clusterplacementpolicies.placement.kcp.dev"
    for_all["spec"]["scope"] = "Cluster"
    for_all["spec"]["names"] = {
        "kind": "ClusterPlacementPolicy",
        "listKind": "ClusterPlacementPolicyList",
        "plural": "clusterplacementpolicies",
        "singular": "clusterplacementpolicy",
        "shortNames": ["cpp"],
        "categories": ["kcp"],
    }
    return [namespaced, for_all]

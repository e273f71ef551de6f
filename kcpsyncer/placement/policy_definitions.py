"""The CRDs of placement policies: one schema, for one namespace and for all. Pure but for reading its own files."""

from importlib.resources import files
from typing import Any

import yaml

FILES = ("placement.kcp.dev_placementpolicies.yaml", "placement.kcp.dev_clusterplacementpolicies.yaml")


def policy_definitions() -> list[dict[str, Any]]:
    return [yaml.safe_load((files("kcpsyncer") / "data" / name).read_text()) for name in FILES]

"""The CRDs of this group of APIs, as shipped: `kubectl apply -f config/` is the same."""

from importlib.resources import files
from typing import Any

import yaml

from kcpsyncer.placement.policy_definitions import policy_definitions

CLUSTERS = "clusters.cluster.example.dev"
_FILES = (
    "cluster.example.dev_clusters.yaml",
    "apiresource.kcp.dev_apiresourceimports.yaml",
    "apiresource.kcp.dev_negotiatedapiresources.yaml",
)


def definitions() -> list[dict[str, Any]]:
    """Clusters first."""
    directory = files("kcpsyncer") / "data"
    own = [yaml.safe_load((directory / name).read_text()) for name in _FILES]
    return [*own, *policy_definitions()]

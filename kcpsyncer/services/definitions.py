"""The CRDs of the Multi-Cluster Services API, as shipped: `kubectl apply -f config/` is the same."""

from importlib.resources import files
from typing import Any

import yaml

EXPORTS = "serviceexports.multicluster.x-k8s.io"
_FILES = ("multicluster.x-k8s.io_serviceexports.yaml", "multicluster.x-k8s.io_serviceimports.yaml")


def definitions() -> list[dict[str, Any]]:
    directory = files("kcpsyncer") / "data"
    return [yaml.safe_load((directory / name).read_text()) for name in _FILES]

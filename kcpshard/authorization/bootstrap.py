"""The RBAC objects that every logical cluster begins with: those of kube-apiserver 1.36, read off a new one, and the
roles for workspaces, under kcp's names.

`scripts/generate_bootstrap_rbac.py` writes the former. Read once per process.
"""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import orjson

VERSION = "1.36"
_PLURALS = {
    "Role": "roles",
    "ClusterRole": "clusterroles",
    "RoleBinding": "rolebindings",
    "ClusterRoleBinding": "clusterrolebindings",
}


class BootstrapObject(NamedTuple):
    group_resource: str
    namespace: str
    name: str
    document: dict[str, Any]  # without uid, creationTimestamp and resourceVersion


@cache
def bootstrap_objects() -> Sequence[BootstrapObject]:
    data = resources.files(__package__).joinpath("data")
    raw = [data.joinpath(name).read_bytes() for name in (f"bootstrap-{VERSION}.jsonl", "kcp.jsonl")]
    return [_object(orjson.loads(line)) for each in raw for line in each.splitlines()]


def _object(document: dict[str, Any]) -> BootstrapObject:
    meta, group = document["metadata"], document["apiVersion"].partition("/")[0]
    return BootstrapObject(f"{_PLURALS[document['kind']]}.{group}", meta.get("namespace", ""), meta["name"], document)

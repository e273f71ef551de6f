"""The APIServices of what is built in: one per group and version, as kube-apiserver registers them at its start.

Every logical cluster shows them without holding them (storage.template). Priorities are kube-apiserver 1.36's; they
decide the order of groups in discovery, which here is fixed.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from kcpshard.definitions.contract import Resource
from kcpshard.storage.template import BIRTH_TIME

API_SERVICES = "apiservices.apiregistration.k8s.io"
_GROUPS = {
    "": 18_000, "apps": 17_800, "events.k8s.io": 17_750, "authentication.k8s.io": 17_700,
    "authorization.k8s.io": 17_600, "autoscaling": 17_500, "batch": 17_400, "certificates.k8s.io": 17_300,
    "networking.k8s.io": 17_200, "policy": 17_100, "rbac.authorization.k8s.io": 17_000, "storage.k8s.io": 16_800,
    "apiextensions.k8s.io": 16_700, "admissionregistration.k8s.io": 16_700, "scheduling.k8s.io": 16_600,
    "coordination.k8s.io": 16_500, "node.k8s.io": 16_300, "discovery.k8s.io": 16_200, "resource.k8s.io": 16_200,
    "flowcontrol.apiserver.k8s.io": 16_100,
}  # fmt: skip
_VERSIONS = {
    ("", "v1"): 1, ("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21, ("resource.k8s.io", "v1"): 21,
    ("apiextensions.k8s.io", "v1beta1"): 9,
}  # fmt: skip
# Served without being registered: the aggregator's own.
_OWN = "apiregistration.k8s.io"


class ApiServiceObject(NamedTuple):
    group_resource: str
    namespace: str
    name: str
    document: dict[str, Any]


def group_priority(group: str) -> int:
    """0 for a group that is not built in."""
    return 20_000 if group == _OWN else _GROUPS.get(group, 0)


def local_api_services(resources: Iterable[Resource]) -> Sequence[ApiServiceObject]:
    """Of these resource types' groups and versions."""
    places = dict.fromkeys((r.group, r.version) for r in resources if r.group != _OWN)
    return [_object(group, version) for group, version in places]


def _object(group: str, version: str) -> ApiServiceObject:
    name = f"{version}.{group}"
    spec: dict[str, Any] = {"group": group} if group else {}
    spec |= {
        "groupPriorityMinimum": _GROUPS.get(group, 1000),
        "version": version,
        "versionPriority": _VERSIONS.get((group, version), 15),
    }
    condition = {
        "lastTransitionTime": BIRTH_TIME,
        "message": "Local APIServices are always available",
        "reason": "Local",
        "status": "True",
        "type": "Available",
    }
    document = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": name, "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
        "spec": spec,
        "status": {"conditions": [condition]},
    }
    return ApiServiceObject(API_SERVICES, "", name, document)

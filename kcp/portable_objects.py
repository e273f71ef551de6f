"""What of an object goes from one cluster to another, and in which order. Pure: objects in, objects out.

What a server gave to an object stays behind; who owns whom goes along, by the uids of the new place.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Object = dict[str, Any]
# Set by a server, or true only of the place where it was.
_SERVERS = (
    "uid", "resourceVersion", "creationTimestamp", "generation", "selfLink", "deletionTimestamp",
    "deletionGracePeriodSeconds",
)  # fmt: skip
# Made by a server by itself, or about something that stays behind.
LEFT_BEHIND = frozenset((
    "events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses", "nodes",
    "csinodes.storage.k8s.io", "volumeattachments.storage.k8s.io", "logicalclusters.core.kcp.io",
    "workspaces.tenancy.kcp.io", "ipaddresses.networking.k8s.io",
    "servicecidrs.networking.k8s.io", "flowschemas.flowcontrol.apiserver.k8s.io",
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
))  # fmt: skip
FIRST = ("namespaces", "customresourcedefinitions.apiextensions.k8s.io")
# They say what else may be written: not before the rest has been.
LAST = (
    "limitranges", "resourcequotas", "validatingadmissionpolicies.admissionregistration.k8s.io",
    "mutatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io", "apiservices.apiregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
)  # fmt: skip
_OF_THE_SERVER = frozenset(("services", "endpoints", "endpointslices.discovery.k8s.io"))
_TOKEN_SECRET = "kubernetes.io/service-account-token"  # noqa: S105 - a type
_ADDRESSES = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort")


class Owned(NamedTuple):
    """An object for its new place, and the owners that it lost because they are not there."""

    object: Object
    lost_owners: tuple[str, ...]


def rank(full_name: str, namespaced: bool) -> tuple[int, str]:
    """Types in the order in which they can be written."""
    if full_name in FIRST:
        return FIRST.index(full_name), full_name
    if full_name in LAST:
        return 100 + LAST.index(full_name), full_name
    return (11 if namespaced else 10), full_name


def why_left(full_name: str, obj: Object) -> str:
    """Why an object does not go along; "" if it does."""
    meta = obj["metadata"]
    if full_name == "secrets" and obj.get("type") == _TOKEN_SECRET:
        return "a token is worth nothing elsewhere"
    if full_name == "configmaps" and meta["name"] == "kube-root-ca.crt":
        return "every namespace has its own"
    if full_name == "apiservices.apiregistration.k8s.io" and "kube-aggregator.kubernetes.io/automanaged" in (
        meta.get("labels") or {}
    ):
        return "the server makes it"
    if full_name in _OF_THE_SERVER and (meta.get("namespace"), meta["name"]) == ("default", "kubernetes"):
        return "the server makes it"
    if meta.get("deletionTimestamp"):
        return "it is being deleted"
    return ""


def owners_known(obj: Object, uids: Mapping[str, str], coming: frozenset[str]) -> bool:
    """Whether each owner is there already or will not come. `coming`: old uids of what is still to be written."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return all(owner.get("uid") in uids or owner.get("uid") not in coming for owner in owners)


def moved(obj: Object, uids: Mapping[str, str]) -> Owned:
    """As it is to be written elsewhere; `uids` are old ones and the new ones in their place."""
    meta = {name: value for name, value in obj["metadata"].items() if name not in _SERVERS}
    meta.pop("managedFields", None)
    owners, lost = [], []
    for owner in meta.pop("ownerReferences", None) or ():
        if owner.get("uid") in uids:
            owners.append({**owner, "uid": uids[owner["uid"]]})
        else:
            lost.append(f"{owner.get('kind')} {owner.get('name')}")
    if owners:
        meta["ownerReferences"] = owners
    return Owned({**{k: v for k, v in obj.items() if k != "status"}, "metadata": meta}, tuple(lost))


def without_addresses(service: Object) -> Object:
    """A Service that asks for new addresses and ports, where its own are not to be had."""
    spec = {name: value for name, value in (service.get("spec") or {}).items() if name not in _ADDRESSES}
    if (service.get("spec") or {}).get("clusterIP") == "None":
        spec["clusterIP"] = "None"
    ports = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec.get("ports") or ()]
    return {**service, "spec": {**spec, "ports": ports} if ports else spec}


def over(obj: Object, current: Object) -> Object | None:
    """`obj` written over what is there; None if that says the same."""
    kept = {name: current["metadata"][name] for name in _SERVERS if name in current["metadata"]}
    bare = {name: value for name, value in current["metadata"].items() if name not in (*_SERVERS, "managedFields")}
    present = {**{k: v for k, v in current.items() if k != "status"}, "metadata": bare}
    if present == obj:
        return None
    written = {**obj, "metadata": {**obj["metadata"], **kept}}
    return {**written, "status": current["status"]} if "status" in current else written


def uids_of(objects: Iterable[Object]) -> frozenset[str]:
    return frozenset(obj["metadata"]["uid"] for obj in objects if obj["metadata"].get("uid"))

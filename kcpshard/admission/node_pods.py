"""What a node may write of pods: mirror pods of its own that refer to nothing, the status of those bound to it, and
their eviction."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kcpshard.admission.node_requests import Object, forbidden, node_of_pod, pod_named
from kcpshard.api.errors import object_not_found
from kcpshard.authorization.attributes import quoted
from kcpshard.authorization.node_graph import MIRROR, config_map_names, secret_names

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

# Volumes that need the API, by their source, and what of it; others need none.
_NEEDED: Mapping[str, str] = {
    "configMap": "configmaps (via configmap volumes)",
    "secret": "secrets (via secret volumes)",
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
_PROJECTED: Mapping[str, str] = {
    "configMap": "configmaps (via projected volumes)",
    "secret": "secrets (via projected volumes)",
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


def admit(attributes: "Attributes", node: str) -> None:
    match attributes.subresource:
        case "":
            _whole_pod(attributes, node)
        case "status":
            _pod_status(attributes, node)
        case "eviction":
            _eviction(attributes, node)
        case other:
            text = f"unexpected pod subresource {quoted(other)}, only 'status' and 'eviction' are allowed"
            raise forbidden(attributes, text)


def _whole_pod(attributes: "Attributes", node: str) -> None:
    shown = quoted(node)
    if attributes.operation == "CREATE":
        assert attributes.object is not None
        if fault := _new_pod_fault(attributes, attributes.object, node):
            raise forbidden(attributes, fault)
    elif attributes.operation == "DELETE":
        name = attributes.name or str((attributes.old or {}).get("metadata", {}).get("name", ""))
        if node_of_pod(pod_named(attributes, name)) != node:
            raise forbidden(attributes, f"node {shown} can only delete pods with spec.nodeName set to itself")
    else:
        operation = quoted(attributes.operation)
        text = f"unexpected operation {operation}, node {shown} can only create and delete mirror pods"
        raise forbidden(attributes, text)


def _new_pod_fault(attributes: "Attributes", pod: Object, node: str) -> str:
    shown, meta = quoted(node), pod["metadata"]
    if MIRROR not in (meta.get("annotations") or {}):
        return f'pod does not have "{MIRROR}" annotation, node {shown} can only create mirror pods'
    if node_of_pod(pod) != node:
        return f"node {shown} can only create pods with spec.nodeName set to itself"
    if fault := _owner_fault(attributes, meta.get("ownerReferences") or [], node):
        return fault
    referenced = _referenced(pod.get("spec") or {})
    return f"node {shown} can not create pods that reference {referenced}" if referenced else ""


def _owner_fault(attributes: "Attributes", owners: list[Object], node: str) -> str:
    start = f"node {quoted(node)} can only create pods with"
    if len(owners) > 1:
        return f"{start} a single owner reference set to itself"
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        return f"{start} an owner reference set to itself"
    if not owner.get("controller"):
        return f"{start} a controller owner reference set to itself"
    if owner.get("blockOwnerDeletion"):
        return f"node {quoted(node)} must not set blockOwnerDeletion on an owner reference"
    own = attributes.stored("nodes", "", node)
    if own is None:
        raise object_not_found("", "node", node)
    uid, given = own["metadata"]["uid"], owner.get("uid", "")
    return "" if given == uid else f"node {node} UID mismatch: expected {given} got {uid}"


def _pod_status(attributes: "Attributes", node: str) -> None:
    if attributes.operation != "UPDATE":
        raise forbidden(attributes, f"unexpected operation {quoted(attributes.operation)}")
    old, new, shown = attributes.old or {}, attributes.object or {}, quoted(node)
    if node_of_pod(old) != node:
        only = "can only update pod status for pods with spec.nodeName set to itself"
        raise forbidden(attributes, f"node {shown} {only}")
    if (old["metadata"].get("labels") or {}) != (new["metadata"].get("labels") or {}):
        raise forbidden(attributes, f"node {shown} cannot update labels through pod status")
    before, after = old.get("status") or {}, new.get("status") or {}
    if _claims(before) != _claims(after):
        raise forbidden(attributes, f"node {shown} cannot update resource claim statues")
    if not _same_extended(before, after):
        raise forbidden(attributes, f"node {shown} cannot update extended resource claim status")


def _claims(status: Object) -> list[tuple[Any, Any]]:
    return [(each.get("name"), each.get("resourceClaimName")) for each in status.get("resourceClaimStatuses") or ()]


def _same_extended(before: Object, after: Object) -> bool:
    old, new = (status.get("extendedResourceClaimStatus") for status in (before, after))
    if old is None or new is None:
        return old is new
    members = ("resourceClaimName", "requestMappings")
    return all((old.get(member) or None) == (new.get(member) or None) for member in members)


def _eviction(attributes: "Attributes", node: str) -> None:
    if attributes.operation != "CREATE":
        raise forbidden(attributes, f"unexpected operation {attributes.operation}")
    if node_of_pod(pod_named(attributes, attributes.name)) != node:
        raise forbidden(attributes, f"node {node} can only evict pods with spec.nodeName set to itself")


def _referenced(spec: Object) -> str:
    """The first API object that a pod refers to, as kube-apiserver names its kind; "" if there is none."""
    if spec.get("serviceAccountName"):
        return "serviceaccounts"
    if next(secret_names(spec), None):
        return "secrets"
    if next(config_map_names(spec), None):
        return "configmaps"
    if spec.get("resourceClaims"):
        return "resourceclaims"
    return next((needed for volume in spec.get("volumes") or () for needed in _needed_by(volume)), "")


def _needed_by(volume: Object) -> Iterator[str]:
    for source, needed in _NEEDED.items():
        if volume.get(source) is not None:
            yield needed
    for each in (volume.get("projected") or {}).get("sources") or ():
        for source, needed in _PROJECTED.items():
            if each.get(source) is not None:
                yield needed

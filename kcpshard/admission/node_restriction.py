"""NodeRestriction: what a node may write of what it may write at all (`authorization.node_rules`).

Its own Node with few labels, its own Lease and CSINode, mirror pods bound to it that refer to nothing, the status of
pods bound to it, tokens for such pods. With kube-apiserver's words.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from cryptography import x509

from kcpshard.admission import node_labels, node_pods, node_tokens
from kcpshard.admission.node_requests import Object, forbidden
from kcpshard.api.requests import decode_identity
from kcpshard.authorization.attributes import quoted
from kcpshard.authorization.node_graph import SLICES
from kcpshard.authorization.node_identity import LEASE_NAMESPACE, PREFIX, may_be_node, node_of

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

_CERTIFICATE_REQUESTS = "certificatesigningrequests.certificates.k8s.io"
_NODE_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
# What a node may tell of a volume claim in use; the rest must stay as it is.
_TOLD_OF_CLAIMS = ("capacity", "conditions", "allocatedResourceStatuses", "allocatedResources")
_UNCOMPARED = ("resourceVersion", "managedFields")


def admit(attributes: "Attributes") -> None:
    """Raises Forbidden, NotFound."""
    if not may_be_node(attributes.identity) or attributes.operation == "CONNECT":
        return
    identity = decode_identity(attributes.identity)
    node = node_of(identity)
    if node is None or attributes.resource.definition is not None:
        return
    if not node:
        raise forbidden(attributes, f"could not determine node from user {quoted(identity.username)}")
    judge = _JUDGES.get(attributes.resource.group_resource)
    if judge is not None:
        judge(attributes, node)


def must_know_old(attributes: "Attributes") -> bool:
    """Whether the object that is deleted will be looked at."""
    return attributes.resource.group_resource == SLICES and may_be_node(attributes.identity)


# --- the node itself


def _node(attributes: "Attributes", node: str) -> None:
    name = "" if attributes.is_generated else attributes.name
    if name != node:
        raise forbidden(attributes, f"node {quoted(node)} is not allowed to modify node {quoted(name)}")
    if attributes.object is None:
        return
    if attributes.operation == "CREATE":
        _new_node(attributes, attributes.object, node)
    elif attributes.operation == "UPDATE":
        _changed_node(attributes, attributes.object, attributes.old or {}, node)


def _new_node(attributes: "Attributes", new: Object, node: str) -> None:
    shown = quoted(node)
    if (new.get("spec") or {}).get("configSource") is not None:
        raise forbidden(attributes, f"node {shown} is not allowed to create pods with a non-nil configSource")
    if labels := node_labels.kept_from_nodes(_labels(new), {}):
        raise forbidden(attributes, f"node {shown} is not allowed to set the following labels: {', '.join(labels)}")


def _changed_node(attributes: "Attributes", new: Object, old: Object, node: str) -> None:
    start = f"node {quoted(node)} is not allowed to"
    now, before = new.get("spec") or {}, old.get("spec") or {}
    if now.get("configSource") is not None and now["configSource"] != before.get("configSource"):
        raise forbidden(attributes, f"{start} update configSource to a new non-nil configSource")
    if _taints(now) != _taints(before):
        raise forbidden(attributes, f"{start} modify taints")
    if (new["metadata"].get("ownerReferences") or []) != (old["metadata"].get("ownerReferences") or []):
        raise forbidden(attributes, f"{start} modify ownerReferences")
    if labels := node_labels.kept_from_nodes(_labels(new), _labels(old)):
        raise forbidden(attributes, f"is not allowed to modify labels: {', '.join(labels)}")


def _labels(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def _taints(spec: Object) -> list[Object]:
    return [{key: value for key, value in taint.items() if value} for taint in spec.get("taints") or ()]


# --- what there is one of for each node


def _lease(attributes: "Attributes", node: str) -> None:
    if attributes.namespace != LEASE_NAMESPACE:
        raise forbidden(attributes, f"can only access leases in the {quoted(LEASE_NAMESPACE)} system namespace")
    _own_name(attributes, node, "node lease")


def _csi_node(attributes: "Attributes", node: str) -> None:
    _own_name(attributes, node, "CSINode")


def _own_name(attributes: "Attributes", node: str, kind: str) -> None:
    name = "" if attributes.is_generated else attributes.name
    if name != node:
        raise forbidden(attributes, f"can only access {kind} with the same name as the requesting node")


def _slice(attributes: "Attributes", node: str) -> None:
    seen = {"CREATE": attributes.object, "DELETE": attributes.old}.get(attributes.operation)
    if seen is not None and (seen.get("spec") or {}).get("nodeName") != node:
        verb = "create" if attributes.operation == "CREATE" else "delete"
        raise forbidden(attributes, f"can only {verb} ResourceSlice with the same NodeName as the requesting node")


# --- volume claims and certificates


def _volume_claim(attributes: "Attributes", node: str) -> None:
    if attributes.subresource != "status":
        raise forbidden(attributes, "may only update PVC status")
    if attributes.operation != "UPDATE":
        raise forbidden(attributes, f"unexpected operation {quoted(attributes.operation)}")
    old, new = (_compared_claim(obj or {}) for obj in (attributes.old, attributes.object))
    if old != new:
        start = f"node {quoted(node)} is not allowed to update fields other than status.quantity and status.conditions"
        raise forbidden(attributes, f"{start}: {', '.join(_differences(old, new))}")


def _compared_claim(claim: Object) -> Object:
    status = {key: value for key, value in (claim.get("status") or {}).items() if key not in _TOLD_OF_CLAIMS}
    meta = {key: value for key, value in claim["metadata"].items() if key not in _UNCOMPARED}
    return {"metadata": meta, "spec": claim.get("spec") or {}, "status": status}


def _differences(old: Object, new: Object) -> Iterator[str]:
    for part in old:
        for key in sorted(old[part].keys() | new[part].keys()):
            if old[part].get(key) != new[part].get(key):
                yield f"{part}.{key}"


def _certificate_request(attributes: "Attributes", node: str) -> None:
    if attributes.operation != "CREATE" or attributes.object is None:
        return
    spec = attributes.object.get("spec") or {}
    if spec.get("signerName") not in _NODE_SIGNERS:
        return
    try:
        asked = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or ""))
    except ValueError:
        raise forbidden(attributes, "unable to parse csr: PEM block type must be CERTIFICATE REQUEST") from None
    names = asked.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if not names or names[-1].value != PREFIX + node:
        raise forbidden(attributes, f"can only create a node CSR with CN={PREFIX}{node}")


def _pod_certificate_request(attributes: "Attributes", node: str) -> None:
    raise forbidden(attributes, "PodCertificateRequest feature gate is disabled")


_JUDGES: Mapping[str, Callable[["Attributes", str], None]] = {
    "pods": node_pods.admit,
    "nodes": _node,
    "persistentvolumeclaims": _volume_claim,
    "serviceaccounts": node_tokens.admit,
    "leases.coordination.k8s.io": _lease,
    "csinodes.storage.k8s.io": _csi_node,
    SLICES: _slice,
    _CERTIFICATE_REQUESTS: _certificate_request,
    "podcertificaterequests.certificates.k8s.io": _pod_certificate_request,
}

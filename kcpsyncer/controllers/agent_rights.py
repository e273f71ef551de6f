"""What an agent that calls us may do in the logical cluster of its Cluster, and whose certificate is signed. Pure."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

Object = dict[str, Any]
Raw = Mapping[str, Any]
RBAC = "rbac.authorization.k8s.io"
GROUP = "system:kcp:syncers"
BOOTSTRAP_GROUP = "system:bootstrappers:kcp:syncers"
BOOTSTRAP_ROLE = "kcp:syncer-bootstrap"
CLUSTER_ANNOTATION = "cluster.example.dev/cluster"  # on a bootstrap token's Secret: the uid of the Cluster it is for
SIGNER = "kubernetes.io/kube-apiserver-client"
LEASE_NAMESPACE = "kcp-system"
_READ, _WRITE = ["get", "list", "watch"], ["create", "update", "patch", "delete"]
_USAGES = frozenset({"client auth", "digital signature", "key encipherment"})


def username(uid: str) -> str:
    return f"system:kcp:syncer:{uid}"


def role_name(cluster: str) -> str:
    return f"kcp:syncer:{cluster}"


def bootstrap_rights() -> list[Object]:
    """A token lets its holder ask for a certificate, and nothing else."""
    rules = [_rule("certificates.k8s.io", ["certificatesigningrequests"], ["create", "get"])]
    return [
        _role("ClusterRole", BOOTSTRAP_ROLE, rules),
        _binding("ClusterRoleBinding", BOOTSTRAP_ROLE, "ClusterRole", "Group", BOOTSTRAP_GROUP),
    ]


def agent_rights(cluster: Raw) -> list[Object]:
    """To know its own Cluster, and to renew its certificate. All else goes over its stream (kcpshard/syncing/gate)."""
    name, uid = cluster["metadata"]["name"], cluster["metadata"]["uid"]
    rules = [
        _rule("cluster.example.dev", ["clusters"], _READ, [name]),
        _rule("certificates.k8s.io", ["certificatesigningrequests"], ["create", "get"]),
    ]
    role = role_name(name)
    return [
        _role("ClusterRole", role, rules),
        _binding("ClusterRoleBinding", role, "ClusterRole", "User", username(uid)),
    ]


def path_of(obj: Raw) -> str:
    """Where an RBAC object is."""
    plural = f"{obj['kind'].lower()}s"
    namespace = obj["metadata"].get("namespace")
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{RBAC}/v1{place}/{plural}/{obj['metadata']['name']}"


# --- certificates


def token_id(requester: str) -> str:
    """ "" if the requester did not come with a bootstrap token."""
    prefix = "system:bootstrap:"
    return requester.removeprefix(prefix) if requester.startswith(prefix) else ""


def is_undecided(request: Raw) -> bool:
    """One for an agent of which nobody has said anything yet."""
    spec = request["spec"]
    said = (request.get("status") or {}).get("conditions")
    return spec.get("signerName") == SIGNER and not said and asked_uid(spec) is not None


def asked_uid(spec: Raw) -> str | None:
    """The uid of the Cluster as whose agent a request wants to be known; None: it is no agent's, or wants more."""
    try:
        asked = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
    except (ValueError, KeyError, binascii.Error):
        return None
    names = [str(a.value) for a in asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [str(a.value) for a in asked.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    others = len(list(asked.subject)) - len(names) - len(groups)
    if len(names) != 1 or groups != [GROUP] or others or list(asked.extensions):
        return None
    if not set(spec.get("usages") or ()) <= _USAGES:
        return None
    prefix = username("")
    return names[0].removeprefix(prefix) if names[0].startswith(prefix) else None


def may_have(request: Raw, clusters: Iterable[Raw], token: Raw | None) -> bool:
    """Whether the certificate is for a registered Cluster, asked for with the token made for it or by its own agent.

    `token` is the Secret of the bootstrap token that the requester came with."""
    spec = request["spec"]
    uid = asked_uid(spec)
    if uid is None or not any(each["metadata"]["uid"] == uid for each in clusters):
        return False
    if spec.get("username") == username(uid):
        return True
    meant = ((token or {}).get("metadata") or {}).get("annotations") or {}
    return bool(token_id(spec.get("username") or "")) and meant.get(CLUSTER_ANNOTATION) == uid


# --- shapes


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()) -> Object:
    rule: Object = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    if names:
        rule["resourceNames"] = list(names)
    return rule


def _role(kind: str, name: str, rules: list[Object], namespace: str = "") -> Object:
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": _metadata(name, namespace), "rules": rules}


def _binding(kind: str, name: str, role: str, subject: str, who: str, namespace: str = "") -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": RBAC, "kind": role, "name": name},
        "subjects": [{"apiGroup": RBAC, "kind": subject, "name": who}],
    }


def _metadata(name: str, namespace: str) -> Object:
    return {"name": name, "namespace": namespace} if namespace else {"name": name}

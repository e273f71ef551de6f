"""What a node (a kubelet) may do, as kube-apiserver's Node authoriser says it: all nodes the same by the rules of the
role system:node, but for what belongs to some of them only. Pure; what belongs to whom `related` says.

What a node may write of its own is left to admission (`admission.node_restriction`).
"""

from collections.abc import Callable, Mapping, Sequence

from kcpshard.authorization import node_graph as kinds
from kcpshard.authorization.attributes import Attributes, quoted
from kcpshard.authorization.node_identity import LEASE_NAMESPACE, PREFIX
from kcpshard.authorization.policy import ALLOWED, DENIED, Decision
from kcpshard.authorization.rules import Rule

Related = Callable[[str, str, str], bool]  # group resource, namespace, name

_READ = ("get", "list", "watch")
_KEPT = ("get", "create", "update", "patch", "delete")  # of what a node has one of, under its own name


def decide(node: str, wanted: Attributes, rules: Sequence[Rule], related: Related) -> Decision:
    """`rules` are those that all nodes have. What is not allowed here others may still allow."""
    if not node:
        return Decision(False, f"unknown node for user {quoted(PREFIX)}")
    if wanted.path is not None:
        return ALLOWED if any(rule.allows_path(wanted.verb, wanted.path) for rule in rules) else DENIED
    judge = _JUDGES.get((wanted.group, wanted.resource))
    if judge is not None:
        return judge(node, wanted, related)
    allowed = any(rule.allows_type(wanted) and (not rule.names or wanted.name in rule.names) for rule in rules)
    return ALLOWED if allowed else DENIED


def _no(reason: str) -> Decision:
    return Decision(False, reason)


def _by_relation(node: str, wanted: Attributes, related: Related) -> Decision:
    if not wanted.name:
        return _no("No Object name found")
    kind = f"{wanted.resource}.{wanted.group}" if wanted.group else wanted.resource
    if related(kind, wanted.namespace, wanted.name):
        return ALLOWED
    return _no(f"no relationship found between node '{node}' and this object")


def _read(node: str, wanted: Attributes, related: Related) -> Decision:
    if wanted.verb not in _READ:
        return _no("can only read resources of this type")
    if wanted.subresource:
        return _no("cannot read subresource")
    if not wanted.namespace:
        return _no("can only read namespaced object of this type")
    return _by_relation(node, wanted, related)


def _get(node: str, wanted: Attributes, related: Related) -> Decision:
    if wanted.verb != "get":
        return _no("can only get individual resources of this type")
    if wanted.subresource:
        return _no("cannot get subresource")
    return _by_relation(node, wanted, related)


def _volume_claim(node: str, wanted: Attributes, related: Related) -> Decision:
    if wanted.subresource != "status":
        return _get(node, wanted, related)
    if wanted.verb not in ("update", "patch"):
        return _no("can only get/update/patch this type")
    return _by_relation(node, wanted, related)


def _account(node: str, wanted: Attributes, related: Related) -> Decision:
    if wanted.verb == "get" and not wanted.subresource:
        return _read(node, wanted, related)
    if wanted.verb != "create" or not wanted.name:
        return _no("can only create tokens for individual service accounts")
    if wanted.subresource != "token":
        return _no("can only create token subresource of serviceaccount")
    return _by_relation(node, wanted, related)


def _lease(node: str, wanted: Attributes, _related: Related) -> Decision:
    if wanted.verb not in _KEPT:
        return _no("can only get, create, update, patch, or delete a node lease")
    if wanted.namespace != LEASE_NAMESPACE:
        return _no(f"can only access leases in the {quoted(LEASE_NAMESPACE)} system namespace")
    if wanted.verb != "create" and wanted.name != node:
        return _no("can only access node lease with the same name as the requesting node")
    return ALLOWED


def _csi_node(node: str, wanted: Attributes, _related: Related) -> Decision:
    if wanted.verb not in _KEPT:
        return _no("can only get, create, update, patch, or delete a CSINode")
    if wanted.subresource:
        return _no("cannot authorize CSINode subresources")
    if wanted.verb != "create" and wanted.name != node:
        return _no("can only access CSINode with the same name as the requesting node")
    return ALLOWED


def _slice(node: str, wanted: Attributes, related: Related) -> Decision:
    if wanted.subresource:
        return _no("cannot authorize ResourceSlice subresources")
    match wanted.verb:
        case "create":
            return ALLOWED
        case "get" | "update" | "patch" | "delete":
            return _by_relation(node, wanted, related)
        case "watch" | "list" | "deletecollection":
            if _selects(wanted, "spec.nodeName", node):
                return ALLOWED
            return _no("can only list/watch/deletecollection resourceslices with nodeName field selector")
    verbs = "get, watch, list, create, update, patch, delete, deletecollection"
    return _no(f"only the following verbs are allowed for a ResourceSlice: {verbs}")


def _node(node: str, wanted: Attributes, _related: Related) -> Decision:
    """Its own by name: it may ask before there is one."""
    if wanted.subresource == "status" and wanted.verb in ("update", "patch"):
        return ALLOWED
    if wanted.subresource:
        return DENIED
    if wanted.verb in ("create", "update", "patch"):
        return ALLOWED
    if wanted.verb not in _READ:
        return DENIED
    if wanted.name == node:
        return ALLOWED
    if not wanted.name:
        return _no(f"node '{node}' cannot read all nodes, only its own Node object")
    return _no(f"node '{node}' cannot read '{wanted.name}', only its own Node object")


def _pod(node: str, wanted: Attributes, related: Related) -> Decision:
    match wanted.subresource, wanted.verb:
        case "", "get":
            return _get(node, wanted, related)
        case "", ("list" | "watch"):
            if _selects(wanted, "spec.nodeName", node):
                return ALLOWED
            if wanted.name:
                return _by_relation(node, wanted, related)
            return _no("can only list/watch pods with spec.nodeName field selector")
        case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
            return ALLOWED
    return DENIED


def _nobodys(_node: str, _wanted: Attributes, _related: Related) -> Decision:
    return DENIED


def _selects(wanted: Attributes, field: str, value: str) -> bool:
    return any(term.field == field and term.equal and term.value == value for term in wanted.fields)


def _place(group_resource: str) -> tuple[str, str]:
    resource, _, group = group_resource.partition(".")
    return group, resource


_JUDGES: Mapping[tuple[str, str], Callable[[str, Attributes, Related], Decision]] = {
    _place(kinds.SECRETS): _read,
    _place(kinds.CONFIG_MAPS): _read,
    _place(kinds.VOLUME_CLAIMS): _volume_claim,
    _place(kinds.VOLUMES): _get,
    _place(kinds.RESOURCE_CLAIMS): _get,
    _place(kinds.ATTACHMENTS): _get,
    _place(kinds.ACCOUNTS): _account,
    _place(kinds.PODS): _pod,
    _place(kinds.SLICES): _slice,
    ("", "nodes"): _node,
    ("coordination.k8s.io", "leases"): _lease,
    ("storage.k8s.io", "csinodes"): _csi_node,
    # Its feature is off in kube-apiserver's defaults, as it is here.
    ("certificates.k8s.io", "podcertificaterequests"): _nobodys,
}

"""What a placed workload looks like in its logical cluster: the object as it was applied (the root), and for each
cluster a copy with its part of the replicas (a leaf). Pure.

A leaf is named `<root>--<cluster>`, carries the labels `kcp.dev/cluster` and `kcp.dev/owned-by` and an owner reference
to the root; which root it belongs to is told by that reference's UID, never by a name. The root itself is not synced.
"""

from collections.abc import Mapping
from hashlib import blake2s
from typing import Any, NamedTuple

Object = dict[str, Any]
Raw = Mapping[str, Any]

CLUSTER_LABEL = "kcp.dev/cluster"
OWNER_LABEL = "kcp.dev/owned-by"
MAX_NAME = 253
MAX_LABEL = 63

# Of the root's metadata, what is its own: everything a server sets, and what tells who applied it.
_NOT_COPIED = frozenset(
    ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
     "managedFields", "ownerReferences", "finalizers", "selfLink", "generateName")
)  # fmt: skip
_NOT_COPIED_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration",)


class Part(NamedTuple):
    """One cluster's part: its replicas, and how many go to those before it (by name)."""

    cluster: str
    replicas: int
    before: int
    total: int


def parts_of(replicas: Mapping[str, int]) -> list[Part]:
    parts, before, total = [], 0, sum(replicas.values())
    for cluster in sorted(replicas):
        parts.append(Part(cluster, replicas[cluster], before, total))
        before += replicas[cluster]
    return parts


def leaf_name(root: str, cluster: str) -> str:
    """Within what a name may be long; two that would be cut alike differ in their hash."""
    name = f"{root}--{cluster}"
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 9].rstrip('-.')}-{_short(name)}"


def owner_label(root: str) -> str:
    return root if len(root) <= MAX_LABEL else f"{root[: MAX_LABEL - 9].rstrip('-._')}-{_short(root)}"


def _short(text: str) -> str:
    return blake2s(text.encode(), digest_size=4).hexdigest()


def is_leaf(obj: Raw) -> bool:
    return bool((obj.get("metadata") or {}).get("labels", {}).get(OWNER_LABEL))


def belongs_to(leaf: Raw, root: Raw) -> bool:
    uid = root["metadata"].get("uid")
    return any(owner.get("uid") == uid for owner in leaf["metadata"].get("ownerReferences") or ())


def leaf_of(root: Raw, part: Part) -> Object:
    """The leaf as it should be applied: no status, nothing that the server sets. It shares with the root what is equal
    in both: nobody may change what is below its metadata and spec."""
    metadata = {name: value for name, value in root["metadata"].items() if name not in _NOT_COPIED}
    name = root["metadata"]["name"]
    metadata["name"] = leaf_name(name, part.cluster)
    labels = dict(metadata.get("labels") or {})
    metadata["labels"] = {**labels, CLUSTER_LABEL: part.cluster, OWNER_LABEL: owner_label(name)}
    annotations = {
        key: value for key, value in (metadata.get("annotations") or {}).items() if key not in _NOT_COPIED_ANNOTATIONS
    }
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    metadata["ownerReferences"] = [
        {"apiVersion": root["apiVersion"], "kind": root["kind"], "name": name, "uid": root["metadata"]["uid"]}
    ]
    leaf: Object = {"apiVersion": root["apiVersion"], "kind": root["kind"], "metadata": metadata}
    leaf.update({key: value for key, value in root.items() if key not in (*leaf, "status")})
    spec = leaf.get("spec")
    if isinstance(spec, dict):
        leaf["spec"] = dict(spec)
        _give(leaf["spec"], root["kind"], part)
    return leaf


def replicas_of(obj: Raw) -> int:
    """How many copies the object asks for; 1 where nothing is said, as Kubernetes defaults it."""
    spec = obj.get("spec") or {}
    found = spec.get("parallelism" if obj.get("kind") == "Job" else "replicas")
    return 1 if found is None else int(found)


def can_divide(obj: Raw) -> bool:
    """Whether its kind has replicas that may run apart. Jobs whose pods are numbered must know all their numbers."""
    if obj.get("kind") == "Job":
        return (obj.get("spec") or {}).get("completionMode") != "Indexed"
    return obj.get("kind") in ("Deployment", "ReplicaSet", "StatefulSet")


def _give(spec: Object, kind: str, part: Part) -> None:
    match kind:
        case "Deployment" | "ReplicaSet":
            spec["replicas"] = part.replicas
        case "StatefulSet":
            # Numbers go on from cluster to cluster: no two pods of the whole have the same name.
            spec["replicas"] = part.replicas
            if part.before:
                start = int((spec.get("ordinals") or {}).get("start") or 0)
                spec["ordinals"] = {**(spec.get("ordinals") or {}), "start": start + part.before}
        case "Job" if spec.get("completionMode") != "Indexed":
            spec["parallelism"] = part.replicas
            if spec.get("completions") is not None:
                spec["completions"] = _share(int(spec["completions"]), part)


def _share(amount: int, part: Part) -> int:
    """Of `amount`, in proportion, so that all parts together are exactly `amount`."""
    if not part.total:
        return amount
    return amount * (part.before + part.replicas) // part.total - amount * part.before // part.total

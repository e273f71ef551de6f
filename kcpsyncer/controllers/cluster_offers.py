"""Clusters of one logical cluster (the provider) that others (consumers) may use: who may, and what they see. Pure.

A consumer has a Cluster object of its own with `spec.offeredBy`: written by its user (a binding) or by the controllers
(inherited from an ancestor in the tree of workspaces). It has the name and the labels of the provider's, and none of
its credentials. Whether it may be used is asked of the provider's RBAC: the verb `use` on that Cluster.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2s
from typing import Any, NamedTuple

from kcpsyncer.conditions import Condition
from kcpsyncer.placement.cluster_states import USABLE

Object = dict[str, Any]
Raw = Mapping[str, Any]
GROUP = "cluster.example.dev"
API_VERSION = f"{GROUP}/v1alpha1"
INHERITED = "cluster.example.dev/inherited"  # annotation: made by the controllers, and taken away by them
_MIRRORED = ("taints", "cordon", "drain")


class Offer(NamedTuple):
    """What a provider has under a name. `cluster`: None if there is none; `is_allowed`: the verb `use`."""

    cluster: Raw | None
    is_allowed: bool


def provider_of(cluster: Raw) -> str:
    """The logical cluster whose Cluster this one stands for; "" if it is registered here itself."""
    return str(((cluster.get("spec") or {}).get("offeredBy") or {}).get("path") or "")


def ancestors(path: str) -> list[str]:
    """The nearest first."""
    parts = path.split(":")
    return [":".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def access_review(consumer: str, name: str) -> Object:
    """To be asked in the provider. A right given to the group `system:cluster:PATH` is one logical cluster's, one given
    to `system:cluster:PATH:*` that of all below it."""
    groups = [f"system:cluster:{consumer}", *(f"system:cluster:{above}:*" for above in ancestors(consumer))]
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:kcp:workloads:{consumer}",
            "groups": [*groups, "system:authenticated"],
            "resourceAttributes": {"group": GROUP, "resource": "clusters", "verb": "use", "name": name},
        },
    }


def mirror(provider: str, cluster: Raw, inherited: bool) -> Object:
    """What a consumer's Cluster is given, by server-side apply: nothing that says how the cluster is reached."""
    metadata, spec = cluster["metadata"], cluster.get("spec") or {}
    made: Object = {"name": metadata["name"], "labels": dict(metadata.get("labels") or {})}
    if inherited:
        made["annotations"] = {INHERITED: "true"}
    mirrored = {field: spec[field] for field in _MIRRORED if spec.get(field)}
    if metadata.get("deletionTimestamp"):
        mirrored["drain"] = True
    return {
        "apiVersion": API_VERSION,
        "kind": "Cluster",
        "metadata": made,
        "spec": {"offeredBy": {"path": provider}, **mirrored},
    }


def is_like(present: Raw, wanted: Raw) -> bool:
    """Whether it has what is mirrored, and nothing of it that the provider has taken back."""
    labels = present["metadata"].get("labels") or {}
    spec, mirrored = present.get("spec") or {}, wanted["spec"]
    return all(labels.get(key) == value for key, value in wanted["metadata"]["labels"].items()) and all(
        spec.get(field) == mirrored.get(field) for field in _MIRRORED if spec.get(field) or mirrored.get(field)
    )


def is_inherited(cluster: Raw) -> bool:
    return INHERITED in (cluster["metadata"].get("annotations") or {})


def missing(offered: Iterable[tuple[str, Raw]], present: Iterable[Raw]) -> list[Object]:
    """Mirrors to be made of what ancestors offer, nearest first; a name that is taken stays whose it is."""
    taken = {each["metadata"]["name"] for each in present}
    made = []
    for path, cluster in offered:
        name = cluster["metadata"]["name"]
        if name not in taken and not cluster["metadata"].get("deletionTimestamp"):
            taken.add(name)
            made.append(mirror(path, cluster, inherited=True))
    return made


def consumer_finalizer(consumer: str) -> str:
    """On the provider's Cluster, as long as something of the consumer may be there."""
    return f"{GROUP}/used-{blake2s(consumer.encode(), digest_size=10).hexdigest()}"


def usable(offer: Offer) -> Condition:
    """One answer for what is not there and what may not be used: names of others' clusters are nobody's business."""
    if offer.is_allowed and offer.cluster is not None:
        if offer.cluster["metadata"].get("deletionTimestamp"):
            return Condition(USABLE, "False", "Leaving", "it is being removed by its owner")
        return Condition(USABLE, "True", "Offered")
    return Condition(USABLE, "False", "NotOffered", "there is no such cluster, or no right to use it")

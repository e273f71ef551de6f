"""PodTopologyLabels: a pod is told where its node stands when it gets its node.

A Binding gets the labels and brings them to the pod, so webhooks that are asked about it see them.
"""

from typing import TYPE_CHECKING, Any

from kcpshard.storage import envelope

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def admit(attributes: "Attributes") -> None:
    """Of a pod that is created with a node, and of a pod's binding."""
    if attributes.operation != "CREATE" or attributes.object is None or attributes.resource.definition is not None:
        return
    if attributes.resource.group_resource != "pods":
        return
    obj = attributes.object
    if attributes.subresource == "":
        _label(attributes, obj, (obj.get("spec") or {}).get("nodeName"))
    elif attributes.subresource == "binding":
        target = obj.get("target") or {}
        _label(attributes, obj, target.get("name") if target.get("kind") == "Node" else None)


def _label(attributes: "Attributes", obj: dict[str, Any], node: str | None) -> None:
    if not node or attributes.cluster is None:
        return
    value = attributes.store.pending(attributes.cluster, "nodes", "", node)
    known = envelope.labels(value) if value is not None else {}
    if found := {key: known[key] for key in _LABELS if key in known}:
        obj["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), **found}

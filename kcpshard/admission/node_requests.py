"""What the judges of a node's writes have in common: how a refusal is worded, and what they look up."""

from typing import TYPE_CHECKING, Any

from kcpshard.api.errors import Forbidden, object_not_found

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

Object = dict[str, Any]


def forbidden(attributes: "Attributes", text: str) -> Forbidden:
    resource, meta = attributes.resource, (attributes.object or {}).get("metadata") or {}
    name = "" if attributes.is_generated else attributes.name
    shown = name or (meta.get("generateName") if attributes.is_generated else meta.get("name")) or "Unknown"
    kind = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    return Forbidden(f'{kind} "{shown}" is forbidden: {text}', name=shown, group=resource.group, kind=resource.plural)


def pod_named(attributes: "Attributes", name: str) -> Object:
    pod = attributes.stored("pods", attributes.namespace, name)
    if pod is None:
        raise object_not_found("", "pod", name)
    return pod


def node_of_pod(pod: Object) -> str:
    return (pod.get("spec") or {}).get("nodeName") or ""

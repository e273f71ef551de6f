"""Whether a pod may become what an update makes of it where it runs: NodeDeclaredFeatureValidator, PodResizeValidator.

Some changes need a node that says it can make them; a resize needs one that runs Linux and has as much to give.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from kcpshard.api.errors import Cause, Forbidden
from kcpshard.definitions.pod_resources import pod_requests
from kcpshard.definitions.quantities import Quantity, parse_quantity

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

Object = dict[str, Any]
_OS = "kubernetes.io/os"
_SUBRESOURCES = ("", "resize")
_NOTHING = parse_quantity("0")


def admit(attributes: "Attributes") -> None:
    """Raises Forbidden."""
    new, old = attributes.object, attributes.old
    if attributes.operation != "UPDATE" or attributes.resource.group_resource != "pods" or new is None or old is None:
        return
    if attributes.subresource not in _SUBRESOURCES or attributes.resource.definition is not None:
        return
    node_name, spec, before = _spec(new).get("nodeName"), _spec(new), _spec(old)
    if not node_name or _text(spec) == _text(before):
        return
    needed = [*_needed_features(spec, before)]
    if not needed and attributes.subresource != "resize":
        return
    node = _node(attributes, node_name)
    if missing := [name for name in needed if name not in ((node.get("status") or {}).get("declaredFeatures") or ())]:
        text = f"pod update requires features {', '.join(missing)} which are not available on node"
        raise _forbidden(attributes, f'{text} "{node_name}"')
    if attributes.subresource == "resize":
        _check_resize(attributes, new, node)


def _needed_features(spec: Object, before: Object) -> Iterator[str]:
    if _text(spec.get("resources")) != _text(before.get("resources")):
        yield "InPlacePodLevelResourcesVerticalScaling"
    for old, new in zip(before.get("initContainers") or (), spec.get("initContainers") or (), strict=False):
        if old.get("restartPolicy") != "Always" and _text(old.get("resources")) != _text(new.get("resources")):
            yield "InPlacePodVerticalScalingInitContainers"
            return


def _check_resize(attributes: "Attributes", pod: Object, node: Object) -> None:
    name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
    if (system := labels.get(_OS, "linux")) != "linux":
        text = f'pod resize is only supported on linux nodes, node "{name}" is "{system}"'
        raise _forbidden(attributes, text, "UnsupportedPlatform")
    given, wanted = (node.get("status") or {}).get("allocatable") or {}, pod_requests(pod, "requests")
    faults = []
    for resource, scale in (("cpu", 1000), ("memory", 1)):
        asked = wanted.get(resource, _NOTHING)
        there = parse_quantity(str(given[resource])) if resource in given else _NOTHING
        if asked.value > there.value:
            faults.append(f"{resource}, requested: {_count(asked, scale)}, allocatable: {_count(there, scale)}")
    if faults:
        text = f"node didn't have enough allocatable resources: {'; '.join(faults)}"
        raise _forbidden(attributes, text, "NodeCapacity")


def _count(quantity: Quantity, scale: int) -> int:
    return math.ceil(quantity.value * scale)


def _text(part: Object | None) -> bytes:
    return orjson.dumps(part or {}, option=orjson.OPT_SORT_KEYS)


def _spec(pod: Object) -> Object:
    found: Object = pod.get("spec") or {}
    return found


def _node(attributes: "Attributes", name: str) -> Object:
    found = attributes.stored("nodes", "", name)
    if found is None:
        raise _forbidden(attributes, f'node "{name}" not found')
    return found


def _forbidden(attributes: "Attributes", text: str, cause: str = "") -> Forbidden:
    shown = f'pods "{attributes.name}" is forbidden: {text}'
    causes = [Cause(cause, "")] if cause else []
    return Forbidden(shown, name=attributes.name, kind="pods", causes=causes)

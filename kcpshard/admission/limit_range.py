"""LimitRange: defaults for what containers ask for, and bounds for containers, pods and volume claims.

Only writes of pods and claims look at all. As k8s.io/kubernetes `plugin/pkg/admission/limitranger`, in its words.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from kcpshard.api.errors import Forbidden
from kcpshard.api.objects import Object
from kcpshard.definitions.pod_resources import Amounts, amounts, pod_requests
from kcpshard.definitions.quantities import Quantity, parse_quantity
from kcpshard.storage import envelope

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

RANGES = "limitranges"
_PODS, _CLAIMS = "pods", "persistentvolumeclaims"
_ANNOTATION = "kubernetes.io/limit-ranger"
_MOST = 256  # of one namespace that count


def default(attributes: "Attributes") -> None:
    """Give containers the requests and limits that the namespace has for those that name none."""
    obj = attributes.object
    if obj is None or attributes.resource.group_resource != _PODS or attributes.operation != "CREATE":
        return
    for limit in _limits(attributes, "Container"):
        _fill(obj, limit)


def check(attributes: "Attributes") -> None:
    obj, kept_as = attributes.object, attributes.resource.group_resource
    if obj is None or attributes.subresource or kept_as not in (_PODS, _CLAIMS):
        return
    if attributes.operation == "UPDATE" and (kept_as == _PODS or obj["metadata"].get("deletionTimestamp")):
        return
    faults = list(_pod_faults(attributes, obj) if kept_as == _PODS else _claim_faults(attributes, obj))
    if faults:
        name, plural = attributes.name, attributes.resource.plural
        listed = faults[0] if len(faults) == 1 else "[" + ", ".join(faults) + "]"
        raise Forbidden(f'{plural} "{name}" is forbidden: {listed}', name=name, kind=plural)


def _limits(attributes: "Attributes", type_: str) -> Iterator[Mapping[str, Any]]:
    cluster, store = attributes.cluster, attributes.store
    if cluster is None or not store.count(cluster, RANGES):
        return
    for value in store.scan_pending(cluster, RANGES, attributes.namespace, _MOST):
        for limit in (orjson.loads(envelope.body(value)).get("spec") or {}).get("limits") or ():
            if limit.get("type") == type_:
                yield limit


# --- defaults


def _fill(pod: Object, limit: Mapping[str, Any]) -> None:
    spec = pod.get("spec") or {}
    told: list[str] = []
    for kind, containers in (("container", "containers"), ("init container", "initContainers")):
        for container in spec.get(containers) or ():
            told += _filled(container, limit, f"{kind} {container.get('name', '')}")
    if told:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[_ANNOTATION] = "LimitRanger plugin set: " + "; ".join(told)


def _filled(container: Object, limit: Mapping[str, Any], shown: str) -> Iterator[str]:
    for kind, member in (("request", "defaultRequest"), ("limit", "default")):
        wanted = limit.get(member) or {}
        resources = container.get("resources") or {}
        missing = sorted(wanted.keys() - (resources.get(f"{kind}s") or {}).keys())
        if missing:
            given = {**(resources.get(f"{kind}s") or {}), **{name: wanted[name] for name in missing}}
            container["resources"] = {**resources, f"{kind}s": given}
            yield f"{', '.join(missing)} {kind} for {shown}"


# --- bounds


def _pod_faults(attributes: "Attributes", pod: Object) -> Iterator[str]:
    spec = pod.get("spec") or {}
    for limit in _limits(attributes, "Container"):
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            yield from _faults("Container", limit, amounts(container, "requests"), amounts(container, "limits"))
    for limit in _limits(attributes, "Pod"):
        yield from _faults("Pod", limit, pod_requests(pod, "requests"), pod_requests(pod, "limits"))


def _claim_faults(attributes: "Attributes", claim: Object) -> Iterator[str]:
    given = amounts(claim.get("spec") or {}, "requests")
    for limit in _limits(attributes, "PersistentVolumeClaim"):
        for name, bound in _bounds(limit, "min"):
            yield from _below("PersistentVolumeClaim", name, bound, given, {})
        for name, bound in _bounds(limit, "max"):
            start = f"maximum {name} usage per PersistentVolumeClaim is {bound}"
            yield from _above(start, bound, given.get(name), "request", required=True)


def _faults(type_: str, limit: Mapping[str, Any], requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, bound in _bounds(limit, "min"):
        yield from _below(type_, name, bound, requests, limits)
    for name, bound in _bounds(limit, "max"):
        start = f"maximum {name} usage per {type_} is {bound}"
        found = list(_above(start, bound, limits.get(name), "limit", required=True))
        yield from found or _above(start, bound, requests.get(name), "request", required=False)
    for name, bound in _bounds(limit, "maxLimitRequestRatio"):
        yield from _ratio(type_, name, bound, requests.get(name), limits.get(name))


def _bounds(limit: Mapping[str, Any], member: str) -> list[tuple[str, Quantity]]:
    return [(name, parse_quantity(str(text))) for name, text in sorted((limit.get(member) or {}).items())]


def _below(type_: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    start = f"minimum {name} usage per {type_} is {bound}"
    request, limit = requests.get(name), limits.get(name)
    if request is None:
        yield f"{start}.  No request is specified"
    elif request.value < bound.value:
        yield f"{start}, but request is {request}"
    elif limit is not None and limit.value < bound.value:
        yield f"{start}, but limit is {limit}"


def _above(start: str, bound: Quantity, given: Quantity | None, word: str, required: bool) -> Iterator[str]:
    if given is None:
        if required:
            yield f"{start}.  No {word} is specified"
    elif given.value > bound.value:
        yield f"{start}, but {word} is {given}"


def _ratio(type_: str, name: str, bound: Quantity, request: Quantity | None, limit: Quantity | None) -> Iterator[str]:
    start = f"{name} max limit to request ratio per {type_} is {bound}, but "
    if request is None or not request.value:
        yield f"{start}no request is specified or request is 0"
    elif limit is None or not limit.value:
        yield f"{start}no limit is specified or limit is 0"
    elif limit.value / request.value > bound.value:
        yield f"{start}provided ratio is {float(limit.value / request.value):f}"

"""What an object uses of a ResourceQuota, and which quotas it is counted by. Pure; k8s.io/apiserver `quota/v1` and
kube-controller-manager's evaluators decide alike.

    configmaps, services, …, count/<resource>.<group>      one for each object
    services.nodeports, services.loadbalancers             of a Service's type and ports
    requests.storage, <class>.storageclass.storage.k8s.io/… of a PersistentVolumeClaim
    cpu, requests.cpu, limits.memory, requests.<extended>  of a Pod that has not ended
    <class>.deviceclass.resource.k8s.io/devices            of a ResourceClaim
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kcpshard.definitions.contract import Object
from kcpshard.definitions.pod_resources import container_names_without, is_best_effort, pod_requests
from kcpshard.definitions.quantities import ZERO, Quantity, count_of, parse_quantity, total

Usage = dict[str, Quantity]

SERVICES, CLAIMS, PODS = "services", "persistentvolumeclaims", "pods"
DEVICE_CLAIMS = "resourceclaims.resource.k8s.io"
# Types whose objects may use more or less after an update; all others use what they used at creation.
CHANGING = frozenset((SERVICES, CLAIMS, PODS, DEVICE_CLAIMS))
IGNORED = frozenset(("events",))
_COUNTED = frozenset(
    ("configmaps", "secrets", "resourcequotas", "replicationcontrollers", SERVICES, CLAIMS, PODS)
)  # fmt: skip
_STORAGE_CLASS, _DEVICE_CLASS = ".storageclass.storage.k8s.io/", ".deviceclass.resource.k8s.io/devices"
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def source(name: str) -> str:
    """The storage key of the type whose objects use what a quota calls `name`."""
    if name.startswith("count/"):
        return name[len("count/") :]
    if name in _COUNTED:
        return name
    if name.startswith("services."):
        return SERVICES
    if name == "requests.storage" or _STORAGE_CLASS in name:
        return CLAIMS
    return DEVICE_CLAIMS if name.endswith(_DEVICE_CLASS) else PODS


def usage(group_resource: str, obj: Object) -> Usage:
    found = {f"count/{group_resource}": count_of(1)}
    if group_resource == PODS:
        return found if has_ended(obj) else {**found, PODS: count_of(1), **_pod(obj)}
    if group_resource in _COUNTED:
        found[group_resource] = count_of(1)
    match group_resource:
        case "services":
            found.update(_service(obj.get("spec") or {}))
        case "persistentvolumeclaims":
            found.update(_claim(obj))
        case "resourceclaims.resource.k8s.io":
            found.update(_devices(obj))
    return found


def has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _service(spec: Mapping[str, Any]) -> Usage:
    ports, type_ = spec.get("ports") or [], spec.get("type")
    balanced = type_ == "LoadBalancer"
    node_ports = 0
    if type_ == "NodePort" or (balanced and spec.get("allocateLoadBalancerNodePorts") is not False):
        node_ports = len(ports)
    elif balanced:
        node_ports = sum(bool(port.get("nodePort")) for port in ports)
    return {"services.nodeports": count_of(node_ports), "services.loadbalancers": count_of(int(balanced))}


def _claim(obj: Object) -> Usage:
    spec = obj.get("spec") or {}
    annotations = obj["metadata"].get("annotations") or {}
    class_ = annotations.get("volume.beta.kubernetes.io/storage-class") or spec.get("storageClassName")
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    found: Usage = {}
    if asked is not None:
        found["requests.storage"] = parse_quantity(str(asked))
    if class_:
        found[f"{class_}{_STORAGE_CLASS}{CLAIMS}"] = count_of(1)
        if asked is not None:
            found[f"{class_}{_STORAGE_CLASS}requests.storage"] = parse_quantity(str(asked))
    return found


def _devices(obj: Object) -> Usage:
    found: dict[str, int] = {}
    for request in ((obj.get("spec") or {}).get("devices") or {}).get("requests") or ():
        most: dict[str, int] = {}
        for choice in [request.get("exactly"), *(request.get("firstAvailable") or ())]:
            if choice and choice.get("deviceClassName"):
                name = f"{choice['deviceClassName']}{_DEVICE_CLASS}"
                most[name] = max(most.get(name, 0), choice.get("count") or 1)
        for name, number in most.items():
            found[name] = found.get(name, 0) + number
    return {name: count_of(number) for name, number in found.items()}


def _pod(pod: Object) -> Usage:
    found: Usage = {}
    for name, amount in pod_requests(pod, "requests").items():
        found[f"requests.{name}"] = amount
        if name in _COMPUTE or name.startswith("hugepages-"):
            found[name] = amount
    for name, amount in pod_requests(pod, "limits").items():
        if name in _COMPUTE:
            found[f"limits.{name}"] = amount
    return found


def unspecified(hard: Mapping[str, Any], pod: Object) -> str:
    """What a pod must say of its containers because a quota limits it; "" if nothing is missing."""
    missing = []
    for name in sorted(hard):
        kind, _, resource = name.rpartition(".")
        kind, resource = (kind, resource) if kind in ("requests", "limits") else ("requests", name)
        if resource in ("cpu", "memory"):
            names = container_names_without(pod, kind, resource)
            if names:
                missing.append(f"{name} for: {','.join(sorted(names))}")
    return "; ".join(missing)


# --- scopes


def is_counted_by(quota_spec: Mapping[str, Any], group_resource: str, obj: Object) -> bool:
    """Whether all scopes of a quota hold for the object. Objects other than pods and claims have none."""
    scopes = list(_scopes(quota_spec))
    if not scopes:
        return True
    if group_resource == CLAIMS:
        return all(_holds_for_claim(scope, obj) for scope in scopes)
    return group_resource == PODS and all(_holds(scope, pod_spec_of(obj), obj) for scope in scopes)


def pod_spec_of(obj: Object) -> Mapping[str, Any]:
    return obj.get("spec") or {}


def _scopes(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in spec.get("scopes") or ():
        yield {"scopeName": name, "operator": "Exists"}
    yield from (spec.get("scopeSelector") or {}).get("matchExpressions") or ()


def _holds(scope: Mapping[str, Any], spec: Mapping[str, Any], pod: Object) -> bool:
    match scope["scopeName"]:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return is_best_effort(pod)
        case "NotBestEffort":
            return not is_best_effort(pod)
        case "PriorityClass":
            return _matches(scope, spec.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(spec.get("affinity") or {})
    return False


def _holds_for_claim(scope: Mapping[str, Any], claim: Object) -> bool:
    """By any VolumeAttributesClass that the claim wants, has, or is on its way to."""
    if scope["scopeName"] != "VolumeAttributesClass":
        return False
    status = claim.get("status") or {}
    names = (
        (claim.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return any(_matches(scope, name) for name in set(filter(None, names)) or {""})


def _matches(scope: Mapping[str, Any], value: str) -> bool:
    match scope.get("operator"):
        case "In":
            return value in (scope.get("values") or ())
        case "NotIn":
            return value not in (scope.get("values") or ())
        case "DoesNotExist":
            return not value
    return bool(value)


def _crosses_namespaces(affinity: Mapping[str, Any]) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        weighted = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [term.get("podAffinityTerm") or {} for term in weighted]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


# --- arithmetic of usages


def read(amounts: Mapping[str, Any] | None) -> Usage:
    return {name: parse_quantity(str(text)) for name, text in (amounts or {}).items()}


def added(one: Usage, other: Usage) -> Usage:
    return {name: total((one.get(name, ZERO), other.get(name, ZERO))) for name in {**one, **other}}


def minus(one: Usage, other: Usage) -> Usage:
    negative = {name: amount._replace(value=-amount.value) for name, amount in other.items()}
    return added(one, negative)


def shown(amounts: Usage) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in sorted(amounts))


def written(amounts: Usage) -> dict[str, str]:
    return {name: str(amounts[name]) for name in sorted(amounts)}

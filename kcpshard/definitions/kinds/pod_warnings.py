"""What kube-apiserver warns the maker of a pod, or of a template, of: all of it is accepted."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from kcpshard.api.names import dns_label_faults
from kcpshard.api.selectors import label_value_faults
from kcpshard.definitions.contract import Object
from kcpshard.definitions.quantities import parse_quantity

Warnings = Iterator[str]
DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_VOLUMES = {
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "gitRepo": ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP, _APP_ARMOR = (
    "container.seccomp.security.alpha.kubernetes.io/",
    "container.apparmor.security.beta.kubernetes.io/",
)
_NO_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_NO_APP_ARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_BYTES = ("memory", "ephemeral-storage")


def pod_warnings(pod: Object) -> Warnings:
    name = pod["metadata"].get("name", "")
    if faults := dns_label_faults(name):
        yield (
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label "
            f"is recommended: [{' '.join(faults)}]"
        )
    yield from _warnings(pod["metadata"], pod.get("spec") or {}, "")


def profile_warnings(pod: Object) -> Warnings:
    """Of AppArmor's annotations of a pod, which become fields."""
    spec, annotations = pod.get("spec") or {}, pod["metadata"].get("annotations") or {}
    if (spec.get("os") or {}).get("name") == "windows":
        return  # which has no AppArmor
    for _, container in _containers(spec, "spec"):
        yield from _profile_warnings(container, annotations, spec, "")


def name_warnings(obj: Object) -> Warnings:
    """Of what makes pods that are called after it."""
    if faults := dns_label_faults(obj["metadata"].get("name", "")):
        yield (
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS "
            f"label is recommended: [{' '.join(faults)}]"
        )


def made_warnings(obj: Object) -> Warnings:
    """Of the template where most kinds have it."""
    return template_warnings(obj["spec"].get("template"), "spec.template")


def template_warnings(template: Object | None, path: str) -> Warnings:
    if template:
        yield from _warnings(template.get("metadata") or {}, template.get("spec") or {}, f"{path}.")


def _warnings(meta: Object, spec: Object, path: str) -> Warnings:
    annotations, here = meta.get("annotations") or {}, f"{path}spec"
    yield from _label_warnings(spec, here)
    yield from _node_affinity_warnings(
        (spec.get("affinity") or {}).get("nodeAffinity") or {}, f"{here}.affinity.nodeAffinity"
    )
    for key, text in _ANNOTATIONS.items():
        if key in annotations:
            yield f"{path}metadata.annotations[{key}]: {text}"
    yield from _volume_warnings(spec.get("volumes") or (), f"{here}.volumes")
    yield from _twice(spec.get("hostAliases") or (), f"{here}.hostAliases", "ip")
    yield from _twice(spec.get("imagePullSecrets") or (), f"{here}.imagePullSecrets", "name")
    for place, item in enumerate(spec.get("imagePullSecrets") or ()):
        if not item.get("name"):
            yield f'{here}.imagePullSecrets[{place}].name: invalid empty name ""'
    yield from fractions(spec.get("overhead") or {}, f"{here}.overhead")
    if (spec.get("securityContext") or {}).get("seccompProfile") is None and _SECCOMP_POD in annotations:
        yield f"{path}metadata.annotations[{_SECCOMP_POD}]: {_NO_SECCOMP}"
    for where, container in _containers(spec, here):
        yield from _container_warnings(container, where, annotations, spec, path)
    yield from _port_warnings(spec, here)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{here}.terminationGracePeriodSeconds: {text}"
    yield from _affinity_warnings(spec.get("affinity") or {}, f"{here}.affinity")


def _containers(spec: Object, path: str) -> Iterator[tuple[str, Object]]:
    for member in ("initContainers", "containers", "ephemeralContainers"):
        for place, container in enumerate(spec.get(member) or ()):
            yield f"{path}.{member}[{place}]", container


def _label_warnings(spec: Object, path: str) -> Warnings:
    for key in spec.get("nodeSelector") or {}:
        if key in DEPRECATED_LABELS:
            yield f"{path}.nodeSelector[{key}]: {DEPRECATED_LABELS[key]}"
    for place, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        here, key = f"{path}.topologySpreadConstraints[{place}]", constraint.get("topologyKey", "")
        if key in DEPRECATED_LABELS:
            yield f"{here}.topologyKey: {key} is {DEPRECATED_LABELS[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{here}.labelSelector: a null labelSelector results in matching no pod"


def _volume_warnings(volumes: Any, path: str) -> Warnings:
    for place, volume in enumerate(volumes):
        for member, (shown, text) in _VOLUMES.items():
            if volume.get(member) is not None:
                yield f"{path}[{place}].{shown}: {text}"


def _twice(items: Any, path: str, member: str) -> Warnings:
    seen: set[str] = set()
    for place, item in enumerate(items):
        value = item.get(member, "")
        if value in seen:
            yield f"{path}[{place}].{member}: duplicate {member} {_quoted(value)}"
        seen.add(value)


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def fractions(amounts: Mapping[str, str], path: str, names: Iterable[str] = _BYTES) -> Warnings:
    """Of amounts of bytes that are no whole number."""
    for name in names:
        if name in amounts and parse_quantity(str(amounts[name])).value.denominator != 1:
            yield f"{path}[{name}]: fractional byte value {_quoted(str(amounts[name]))} is invalid, must be an integer"


def _profile_warnings(container: Object, annotations: Mapping[str, str], spec: Object, root: str) -> Warnings:
    """Of an annotation that stands in for the field."""
    name, noted = container.get("name", ""), annotations.get(_APP_ARMOR + container.get("name", ""))
    if noted is None or (container.get("securityContext") or {}).get("appArmorProfile") is not None:
        return
    profile = (spec.get("securityContext") or {}).get("appArmorProfile")
    if profile is None or profile != app_armor_profile(noted):
        yield f"{root}metadata.annotations[{_APP_ARMOR}{name}]: {_NO_APP_ARMOR}"


def _container_warnings(
    container: Object, path: str, annotations: Mapping[str, str], spec: Object, root: str
) -> Warnings:
    name, security = container.get("name", ""), container.get("securityContext") or {}
    if security.get("seccompProfile") is None and _SECCOMP + name in annotations:
        yield f"{root}metadata.annotations[{_SECCOMP}{name}]: {_NO_SECCOMP}"
    if root:
        yield from _profile_warnings(container, annotations, spec, root)
    resources = container.get("resources") or {}
    for bytes_of in _BYTES:
        for member in ("limits", "requests"):
            amounts = resources.get(member) or {}
            if bytes_of in amounts:
                yield from fractions({bytes_of: amounts[bytes_of]}, f"{path}.resources.{member}")
    yield from _hidden(container.get("env") or (), f"{path}.env")


def app_armor_profile(annotation: str) -> Object | None:
    """The field that says the same as the older annotation."""
    if annotation == "runtime/default":
        return {"type": "RuntimeDefault"}
    if annotation == "unconfined":
        return {"type": "Unconfined"}
    if annotation.startswith("localhost/") and annotation != "localhost/":
        return {"type": "Localhost", "localhostProfile": annotation.removeprefix("localhost/")}
    return None


def _hidden(variables: Any, path: str) -> Warnings:
    seen: set[str] = set()
    for place, variable in enumerate(variables):
        name, value = variable.get("name", ""), variable.get("value", "")
        reference = f"$({name})"
        if name in seen and (variable.get("valueFrom") is not None or value == reference or reference not in value):
            text = "which may be dropped when using apply"
            yield f"{path}[{place}]: hides previous definition of {_quoted(name)}, {text}"
        seen.add(name)


def _port_warnings(spec: Object, path: str) -> Warnings:
    known: dict[tuple[int, str], list[tuple[str, Object]]] = {}
    for where, port in _ports(spec, path):
        others = known.setdefault((port.get("containerPort", 0), port.get("protocol", "")), [])
        for other_path, other in others:
            if word := _collision(port, other):
                yield f"{where}: {word} port definition with {other_path}"
        others.append((where, port))
    names: dict[str, str] = {}
    for where, port in _ports(spec, path):
        name = port.get("name", "")
        if name and name in names:
            first = names[name]
            yield (
                f"{where}: duplicate port name {_quoted(name)} with {first}, services and probes that select ports by "
                f"name will use {first}"
            )
        elif name:
            names[name] = where


def _ports(spec: Object, path: str) -> Iterator[tuple[str, Object]]:
    for where, container in _containers(spec, path):
        for place, port in enumerate(container.get("ports") or ()):
            yield f"{where}.ports[{place}]", port


def _collision(port: Object, other: Object) -> str:
    ip, host, other_ip, other_host = (
        port.get("hostIP", ""), port.get("hostPort", 0), other.get("hostIP", ""), other.get("hostPort", 0),
    )  # fmt: skip
    if ip == other_ip and host == other_host:
        return "duplicate"
    if not host or not other_host:
        return "overlapping"
    return "dangerously ambiguous" if host == other_host and (not ip) != (not other_ip) else ""


def node_term_warnings(term: Object, path: str, *, judges_values: bool) -> Warnings:
    """Of one term that selects nodes."""
    for place, expression in enumerate(term.get("matchExpressions") or ()):
        here, key = f"{path}.matchExpressions[{place}]", expression.get("key", "")
        if key in DEPRECATED_LABELS:
            yield f"{here}.key: {key} is {DEPRECATED_LABELS[key]}"
        for number, value in enumerate((expression.get("values") or ()) if judges_values else ()):
            for fault in label_value_faults(value):
                yield f"{here}.values[{number}]: {value} is invalid, {fault}"


def _node_affinity_warnings(affinity: Object, path: str) -> Warnings:
    member = "requiredDuringSchedulingIgnoredDuringExecution"
    for place, term in enumerate((affinity.get(member) or {}).get("nodeSelectorTerms") or ()):
        yield from node_term_warnings(term, f"{path}.{member}.nodeSelectorTerms[{place}]", judges_values=True)
    member = "preferredDuringSchedulingIgnoredDuringExecution"
    for place, term in enumerate(affinity.get(member) or ()):
        here = f"{path}.{member}[{place}].preference"
        yield from node_term_warnings(term.get("preference") or {}, here, judges_values=True)


def _affinity_warnings(affinity: Object, path: str) -> Warnings:
    text = "a null labelSelector results in matching no pod"
    for kind in ("podAffinity", "podAntiAffinity"):
        terms, here = affinity.get(kind) or {}, f"{path}.{kind}"
        member = "requiredDuringSchedulingIgnoredDuringExecution"
        for place, term in enumerate(terms.get(member) or ()):
            if term.get("labelSelector") is None:
                yield f"{here}.{member}[{place}].labelSelector: {text}"
        member = "preferredDuringSchedulingIgnoredDuringExecution"
        for place, term in enumerate(terms.get(member) or ()):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                yield f"{here}.{member}[{place}].podAffinityTerm.labelSelector: {text}"

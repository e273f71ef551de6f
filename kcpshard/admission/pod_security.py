"""PodSecurity: pods are held to the standard that their namespace's labels name; makers of pods are warned.

    a pod             refused if it violates `enforce`; otherwise warned of `warn`, recorded for `audit`
    a workload        warned and recorded only: its pods are refused
    a namespace       its labels must be right; warned of pods that violate what is newly enforced

The default is privileged, and nobody is exempt. As the plug-in of that name in kube-apiserver, in its words.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from kcpshard.admission.attributes import CREATE, NOTHING, UPDATE, Notes
from kcpshard.admission.pod_security_checks import told, violations
from kcpshard.admission.pod_security_levels import PREFIX, PRIVILEGED, Policy, Standard, policy_of
from kcpshard.api import loop_time
from kcpshard.api.errors import FieldError, Forbidden, object_invalid
from kcpshard.api.objects import Object
from kcpshard.storage import envelope

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

NAMESPACES, PODS = "namespaces", "pods"
# Where in an object its pods are described.
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "replicationcontrollers": ("spec", "template"),
    "podtemplates": ("template",),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
_IGNORED = frozenset(("exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"))
_MOST_CHECKED = 3000  # pods of a namespace that is labelled
_MOST_COUNTED = 100_000
_UNLABELLED = Notes((), ((PREFIX + "enforce-policy", "privileged:latest"),))


def admit(attributes: "Attributes") -> Notes:
    obj, kept_as = attributes.object, attributes.resource.group_resource
    if obj is None or attributes.operation not in (CREATE, UPDATE) or attributes.resource.definition is not None:
        return NOTHING
    if kept_as == NAMESPACES:
        return NOTHING if attributes.subresource else _namespace(attributes, obj)
    if kept_as == PODS:
        return NOTHING if attributes.subresource in _IGNORED else _pod(attributes, obj)
    path = _TEMPLATES.get(kept_as)
    return NOTHING if path is None or attributes.subresource else _workload(attributes, obj, path)


# --- pods and what makes them


def _policy(attributes: "Attributes") -> tuple[Policy, list[FieldError]]:
    value = None
    if attributes.cluster is not None:
        value = attributes.store.pending(attributes.cluster, NAMESPACES, "", attributes.namespace)
    return policy_of(envelope.labels(value) if value is not None else {})


def _pod(attributes: "Attributes", pod: Object) -> Notes:
    policy, faults = _policy(attributes)
    if policy.is_privileged and not faults:
        return _UNLABELLED
    if attributes.old is not None and not _is_significant(pod["spec"], attributes.old["spec"]):
        return NOTHING
    annotations, spec = pod["metadata"].get("annotations") or {}, pod["spec"]
    found = violations(policy.enforce, annotations, spec)
    if found:
        text = f'pods "{attributes.name}" is forbidden: violates PodSecurity "{policy.enforce}": {told(found)}'
        raise Forbidden(text, name=attributes.name, kind=PODS)
    notes = _judged(policy, faults, annotations, spec)
    return notes.plus([], {PREFIX + "enforce-policy": str(policy.enforce)})


def _workload(attributes: "Attributes", obj: Object, path: tuple[str, ...]) -> Notes:
    policy, faults = _policy(attributes)
    if not faults and policy.warn.level == policy.audit.level == PRIVILEGED:
        return NOTHING
    template: Any = obj
    for member in path:
        template = template.get(member) or {}
    if not template:
        return NOTHING
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return _judged(policy, faults, annotations, template.get("spec") or {})


def _judged(policy: Policy, faults: list[FieldError], annotations: Mapping[str, str], spec: Object) -> Notes:
    """What `audit` and `warn` have to say."""
    warnings: list[str] = []
    noted: dict[str, str] = {}
    if faults:
        noted[PREFIX + "error"] = f"Failed to parse policy: {_listed(faults)}"
    if found := violations(policy.audit, annotations, spec):
        noted[PREFIX + "audit-violations"] = f'would violate PodSecurity "{policy.audit}": {told(found)}'
    if found := violations(policy.warn, annotations, spec):
        warnings.append(f'would violate PodSecurity "{policy.warn}": {told(found)}')
    return NOTHING.plus(warnings, noted)


def _listed(faults: list[FieldError]) -> str:
    return str(faults[0]) if len(faults) == 1 else f"[{', '.join(map(str, faults))}]"


def _is_significant(spec: Object, old: Object) -> bool:
    """Whether an update brings containers or images; other fields that count cannot change."""
    for member in ("containers", "initContainers"):
        if _images(spec, member) != _images(old, member):
            return True
    known = {c.get("name", ""): c.get("image", "") for c in old.get("ephemeralContainers") or ()}
    return any(known.get(c.get("name", "")) != c.get("image", "") for c in spec.get("ephemeralContainers") or ())


def _images(spec: Object, member: str) -> list[str]:
    return [container.get("image", "") for container in spec.get(member) or ()]


# --- namespaces


def _namespace(attributes: "Attributes", namespace: Object) -> Notes:
    new, faults = policy_of(namespace["metadata"].get("labels") or {})
    old, old_faults = policy_of({})
    if attributes.old is not None:
        old, old_faults = policy_of(attributes.old["metadata"].get("labels") or {})
    if faults and faults != old_faults:
        raise object_invalid("", "Namespace", attributes.name, faults)
    if attributes.old is None or new.enforce == old.enforce or new.enforce.level == PRIVILEGED:
        return NOTHING
    if new.enforce.minor == old.enforce.minor and not new.enforce.is_stricter_than(old.enforce):
        return NOTHING
    return NOTHING.plus(_violators(attributes, new.enforce), {})


def _violators(attributes: "Attributes", standard: Standard) -> list[str]:
    """Warnings of the pods that would not be admitted today, those with the same violations in one."""
    pods = _pods(attributes)
    checked, found = pods[:_MOST_CHECKED], dict[str, list[str]]()
    for pod in checked:
        annotations = pod["metadata"].get("annotations") or {}
        if reasons := [v.reason for v in violations(standard, annotations, pod.get("spec") or {})]:
            found.setdefault(", ".join(reasons), []).append(pod["metadata"]["name"])
    warnings = []
    if len(checked) < len(pods):
        warnings.append(
            f"new PodSecurity enforce level only checked against the first {len(checked)} of {len(pods)} existing pods"
        )
    if found:
        warnings.append(
            f'existing pods in namespace "{attributes.name}" violate the new PodSecurity enforce level "{standard}"'
        )
    return warnings + sorted(f"{_shown(sorted(names))}: {reasons}" for reasons, names in found.items())


def _shown(names: list[str]) -> str:
    others = len(names) - 1
    return names[0] if not others else f"{names[0]} (and {others} other pod{'' if others == 1 else 's'})"


def _pods(attributes: "Attributes") -> list[Object]:
    """Of the namespace, of each controller one first. Raises TooLong if they are many, on a loop."""
    store, cluster = attributes.store, attributes.cluster
    assert cluster is not None
    values = store.scan_pending(cluster, PODS, attributes.name, _MOST_CHECKED + 1)
    loop_time.check_size(sum(map(len, values)))
    if len(values) > _MOST_CHECKED:
        values = store.scan_pending(cluster, PODS, attributes.name, _MOST_COUNTED)
    first, others, seen = list[Object](), list[Object](), set[str]()
    for value in values:
        pod: Object = orjson.loads(envelope.body(value))
        owner = next((o["uid"] for o in pod["metadata"].get("ownerReferences") or () if o.get("controller")), "")
        (others if owner in seen else first).append(pod)
        if owner:
            seen.add(owner)
    return first + others

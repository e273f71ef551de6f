"""Kinds about nodes and scheduling, and what configures the API server itself."""

from collections.abc import Iterator, Sequence

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.api.names import dns_label_faults
from kcpshard.api.selectors import label_value_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.affinity_faults import EFFECTS, toleration_faults
from kcpshard.definitions.kinds.container_faults import amount_faults, resource_faults
from kcpshard.definitions.kinds.network_warnings import node_warnings
from kcpshard.definitions.kinds.pod_defaults import fill_absent
from kcpshard.definitions.kinds.pod_warnings import DEPRECATED_LABELS
from kcpshard.definitions.strategies import Rules, keep

Faults = Iterator[FieldError]
HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_NOT_READY = "node.kubernetes.io/not-ready"


def _default_node(obj: Object) -> None:
    status = obj.get("status") or {}
    if status.get("allocatable") is None and status.get("capacity") is not None:
        status["allocatable"] = dict(status["capacity"])
    spec = obj.get("spec") or {}
    if spec.get("podCIDR") and spec["podCIDR"] != (spec.get("podCIDRs") or [""])[0]:
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]


def _taint_new(obj: Object) -> None:
    """Nothing runs on a node before it has said that it is ready."""
    spec = obj["spec"] = dict(obj.get("spec") or {})
    spec.pop("configSource", None)  # of kubelets that took their configuration from the API
    if all(taint.get("key") != _NOT_READY for taint in spec.get("taints") or ()):
        spec["taints"] = [*(spec.get("taints") or ()), {"key": _NOT_READY, "effect": "NoSchedule"}]


def _update_node(new: Object, old: Object) -> None:
    keep(new, old, "status")
    if not (old.get("spec") or {}).get("configSource"):
        (new.get("spec") or {}).pop("configSource", None)


def _node(obj: Object) -> Faults:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    seen: set[tuple[str, str]] = set()
    for place, taint in enumerate(spec.get("taints") or ()):
        path, key, effect = f"metadata.taints[{place}]", taint.get("key", ""), taint.get("effect", "")
        yield from checks.qualified_name(f"{path}.key", key)
        if faults := label_value_faults(taint.get("value", "")):
            yield invalid(f"{path}.value", taint["value"], ";".join(faults))
        yield from checks.one_supported(f"{path}.effect", effect, EFFECTS)
        if (key, effect) in seen:
            found = duplicate(path, taint)
            yield found._replace(detail=f"{found.detail}: taints must be unique by key and effect pair")
        seen.add((key, effect))
    for member in ("capacity", "allocatable"):
        for name, text in (status.get(member) or {}).items():
            yield from amount_faults(f"status.{member}.{name}", name, text)
    cidrs = spec.get("podCIDRs") or ()
    for place, text in enumerate(cidrs):
        yield from checks.network(f"spec.podCIDRs[{place}]", text)
    yield from _both_families(cidrs)


def _both_families(cidrs: Sequence[str]) -> Faults:
    wrong = [text for text in cidrs if any(True for _ in checks.network("", text))]
    path = "spec.podCIDRs"
    if len(cidrs) > 1 and wrong:
        text = f"invalid CIDR[{list(cidrs).index(wrong[0])}]: <nil> (invalid CIDR address: {wrong[0]})"
        text = f"Internal error: invalid PodCIDRs. failed to check with dual stack with error:{text}"
        yield FieldError(path, "InternalError", text)
    if len(cidrs) > 1 and (wrong or len(cidrs) > 2 or len({":" in text for text in cidrs}) == 1):
        yield invalid(path, cidrs, "may specify no more than one CIDR for each IP family")


def _node_update(new: Object, old: Object) -> Faults:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after.get("externalID", "") != before.get("externalID", ""):
        yield forbidden("spec.externalID", "may not be updated")
    if before.get("podCIDRs") and after.get("podCIDRs") != before["podCIDRs"]:
        yield forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    if before.get("providerID") and after.get("providerID") != before["providerID"]:
        yield forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')


def _node_fields(obj: Object) -> dict[str, str]:
    return {"spec.unschedulable": "true" if (obj.get("spec") or {}).get("unschedulable") else "false"}


def _first_generation(obj: Object) -> None:
    """A PriorityClass has a generation that does not count."""
    obj["metadata"]["generation"] = 1


def _priority(obj: Object) -> Faults:
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    if name.startswith("system-"):
        if SYSTEM_PRIORITIES.get(name) != value or obj.get("globalDefault"):
            fault = f"{name} is not a known system priority class"
            text = f"priority class names with 'system-' prefix are reserved for system use only. error: {fault}"
            yield forbidden("metadata.name", text)
    elif value > HIGHEST_USER_PRIORITY:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}")
    yield from checks.one_supported("preemptionPolicy", obj["preemptionPolicy"], ("PreemptLowerPriority", "Never"))


def _priority_update(new: Object, old: Object) -> Faults:
    if new.get("value", 0) != old.get("value", 0):
        yield forbidden("value", "may not be changed in an update.")
    yield from checks.unchanged("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))


def _runtime(obj: Object) -> Faults:
    handler = obj.get("handler", "")
    if not handler:
        yield required("handler")
    else:
        yield from (invalid("handler", handler, text) for text in dns_label_faults(handler))
    if (amounts := (obj.get("overhead") or {}).get("podFixed")) is not None:
        yield from resource_faults({"limits": amounts}, "overhead", frozenset())
    scheduling = obj.get("scheduling") or {}
    yield from checks.labels("scheduling.nodeSelector", scheduling.get("nodeSelector"))
    yield from toleration_faults(scheduling.get("tolerations") or (), "scheduling.tolerations")


def _runtime_update(new: Object, old: Object) -> Faults:
    yield from checks.unchanged("handler", new.get("handler"), old.get("handler"))


def _runtime_warnings(runtime_class: Object) -> Iterator[str]:
    for key in (runtime_class.get("scheduling") or {}).get("nodeSelector") or {}:
        if key in DEPRECATED_LABELS:
            yield f"scheduling.nodeSelector: {DEPRECATED_LABELS[key]}"


ROWS = {
    ("", "Node"): Rules(
        default=(_default_node,),
        validate=(_node,),
        validate_update=(_node_update,),
        fields=(("spec.unschedulable", ()),),
        fields_from=_node_fields,
        prepare_create=(_taint_new,),
        warnings=node_warnings,
        prepare_update={"": _update_node},
        creates_status=True,
    ),
    ("scheduling.k8s.io", "PriorityClass"): Rules(
        default=(lambda obj: fill_absent(obj, preemptionPolicy="PreemptLowerPriority"),),
        prepare_create=(_first_generation,),
        validate_create=(_priority,),
        validate_update=(_priority_update,),
    ),
    ("node.k8s.io", "RuntimeClass"): Rules(
        validate=(_runtime,), validate_update=(_runtime_update,), warnings=_runtime_warnings
    ),
}

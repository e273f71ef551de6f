"""Kinds about nodes and scheduling, and what configures the API server itself."""

from collections.abc import Iterator

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.api.names import dns_label_faults
from kcpshard.api.selectors import label_value_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.affinity_faults import EFFECTS, toleration_faults
from kcpshard.definitions.kinds.pod_defaults import fill
from kcpshard.definitions.strategies import Rules, keep

Faults = Iterator[FieldError]
FLOW, DRA = "flowcontrol.apiserver.k8s.io", "resource.k8s.io"
HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_MAX_PRECEDENCE = 10_000
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
        for text in label_value_faults(taint.get("value", "")):
            yield invalid(f"{path}.value", taint["value"], text)
        yield from checks.one_supported(f"{path}.effect", effect, EFFECTS)
        if (key, effect) in seen:
            yield duplicate(path, taint)
        seen.add((key, effect))
    for member in ("capacity", "allocatable"):
        for name, text in (status.get(member) or {}).items():
            yield from checks.amount(f"status.{member}.{name}", text)
    cidrs = spec.get("podCIDRs") or ()
    for place, text in enumerate(cidrs):
        yield from checks.network(f"spec.podCIDRs[{place}]", text)
    if len(cidrs) > 1 and (len(cidrs) > 2 or len({":" in text for text in cidrs}) == 1):
        yield invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family")


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
    for name, text in ((obj.get("overhead") or {}).get("podFixed") or {}).items():
        yield from checks.amount(f"overhead.podFixed[{name}]", text)
    scheduling = obj.get("scheduling") or {}
    yield from checks.labels("scheduling.nodeSelector", scheduling.get("nodeSelector"))
    yield from toleration_faults(scheduling.get("tolerations") or (), "scheduling.tolerations")


def _runtime_update(new: Object, old: Object) -> Faults:
    yield from checks.unchanged("handler", new.get("handler"), old.get("handler"))


# --- flow control


def _default_flow(obj: Object) -> None:
    spec = obj.get("spec") or {}
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


def _flow(obj: Object) -> Faults:
    spec, path = obj.get("spec") or {}, "spec.matchingPrecedence"
    precedence = spec.get("matchingPrecedence", 0)
    if precedence <= 0:
        yield invalid(path, precedence, "must be a positive value")
    if precedence > _MAX_PRECEDENCE:
        yield invalid(path, precedence, f"must not be greater than {_MAX_PRECEDENCE}")
    if precedence == 1 and obj["metadata"].get("name") != "exempt":
        yield invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    if (method := spec.get("distinguisherMethod")) is not None:
        kinds = ("ByNamespace", "ByUser")
        yield from checks.one_supported("spec.distinguisherMethod.type", method.get("type", ""), kinds)
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    if not level:
        yield required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    else:
        yield from checks.dns_subdomain("spec.priorityLevelConfiguration.name", level)
    for place, rule in enumerate(spec.get("rules") or ()):
        yield from _flow_rule(rule, f"spec.rules[{place}]")


def _flow_rule(rule: Object, path: str) -> Faults:
    if not rule.get("subjects"):
        yield required(f"{path}.subjects", "subjects must contain at least one value")
    for place, subject in enumerate(rule.get("subjects") or ()):
        here = f"{path}.subjects[{place}]"
        kinds = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}
        member = kinds.get(subject.get("kind", ""))
        if member is None:
            yield from checks.one_supported(f"{here}.kind", subject.get("kind", ""), tuple(sorted(kinds)))
        elif subject.get(member) is None:
            yield required(f"{here}.{member}", f"{member} is required when subject kind is '{subject['kind']}'")
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        text = "at least one of resourceRules and nonResourceRules has to be non-empty"
        yield required(path, text)
    for place, given in enumerate(rule.get("resourceRules") or ()):
        here = f"{path}.resourceRules[{place}]"
        yield from checks.present(given, here, "verbs", "apiGroups", "resources")
        if not given.get("namespaces") and not given.get("clusterScope"):
            yield required(
                f"{here}.namespaces", "resource rules that are not cluster scoped must supply at least one namespace"
            )
    for place, given in enumerate(rule.get("nonResourceRules") or ()):
        yield from checks.present(given, f"{path}.nonResourceRules[{place}]", "verbs", "nonResourceURLs")


def _default_level(obj: Object) -> None:
    spec = obj.get("spec") or {}
    if (exempt := spec.get("exempt")) is not None:
        fill(exempt, nominalConcurrencyShares=0, lendablePercent=0)
    if (limited := spec.get("limited")) is not None:
        fill(limited, nominalConcurrencyShares=30, lendablePercent=0)
        if (queuing := (limited.get("limitResponse") or {}).get("queuing")) is not None:
            for member, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
                queuing[member] = queuing.get(member) or value


def _level(obj: Object) -> Faults:
    spec, kind = obj.get("spec") or {}, (obj.get("spec") or {}).get("type", "")
    if (obj["metadata"].get("name") == "exempt") != (kind == "Exempt"):
        yield invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'")
    yield from checks.one_supported("spec.type", kind, ("Exempt", "Limited"))
    limited = spec.get("limited")
    if kind == "Limited":
        if spec.get("exempt") is not None:
            yield forbidden("spec.exempt", "must be nil if the type is Limited")
        if limited is None:
            yield required("spec.limited", "must not be empty when type is Limited")
    elif kind == "Exempt" and limited is not None:
        yield forbidden("spec.limited", "must be nil if the type is not Limited")
    if kind == "Limited" and limited is not None:
        yield from checks.nonnegative(limited, "spec.limited", "nominalConcurrencyShares")
        response = limited.get("limitResponse") or {}
        yield from checks.one_supported(
            "spec.limited.limitResponse.type", response.get("type", ""), ("Queue", "Reject")
        )
        if response.get("type") == "Queue" and response.get("queuing") is None:
            yield required(
                "spec.limited.limitResponse.queuing", "must not be empty if limited.limitResponse.type is Limited"
            )
        if response.get("type") == "Reject" and response.get("queuing") is not None:
            yield forbidden(
                "spec.limited.limitResponse.queuing", "must be nil if limited.limitResponse.type is not Limited"
            )


def _default_devices(obj: Object) -> None:
    spec = obj.get("spec") or {}
    for request in ((spec.get("spec") or spec).get("devices") or {}).get("requests") or ():
        for part in [request.get("exactly"), *(request.get("firstAvailable") or ())]:
            if part is not None:
                fill(part, allocationMode="ExactCount")
                if part["allocationMode"] == "ExactCount":
                    part["count"] = part.get("count") or 1


def _claim_update(new: Object, old: Object) -> Faults:
    yield from checks.unchanged("spec", new["spec"], old["spec"])


ROWS = {
    ("", "Node"): Rules(
        default=(_default_node,),
        validate=(_node,),
        validate_update=(_node_update,),
        fields=(("spec.unschedulable", ()),),
        fields_from=_node_fields,
        prepare_create=(_taint_new,),
        prepare_update={"": _update_node},
        creates_status=True,
    ),
    ("scheduling.k8s.io", "PriorityClass"): Rules(
        default=(lambda obj: fill(obj, preemptionPolicy="PreemptLowerPriority"),),
        prepare_create=(_first_generation,),
        validate=(_priority,),
        validate_update=(_priority_update,),
    ),
    ("node.k8s.io", "RuntimeClass"): Rules(validate=(_runtime,), validate_update=(_runtime_update,)),
    (FLOW, "FlowSchema"): Rules(default=(_default_flow,), validate=(_flow,), generation=True, status_alone=True),
    (FLOW, "PriorityLevelConfiguration"): Rules(
        default=(_default_level,), validate=(_level,), generation=True, status_alone=True
    ),
    (DRA, "DeviceClass"): Rules(generation=True),
    (DRA, "ResourceClaim"): Rules(default=(_default_devices,), validate_update=(_claim_update,), status_alone=True),
    (DRA, "ResourceClaimTemplate"): Rules(default=(_default_devices,), validate_update=(_claim_update,)),
    (DRA, "ResourceSlice"): Rules(
        generation=True,
        fields=(("spec.nodeName", ("spec", "nodeName")), ("spec.driver", ("spec", "driver"))),
    ),
}

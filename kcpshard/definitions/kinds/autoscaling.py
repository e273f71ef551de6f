"""HorizontalPodAutoscaler (stored as v2; v1 says less) and PodDisruptionBudget."""

from collections.abc import Iterator
from typing import Any

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.api.names import path_segment_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.container_faults import container_resource_faults
from kcpshard.definitions.kinds.pod_defaults import fill
from kcpshard.definitions.quantities import parse_quantity
from kcpshard.definitions.strategies import Rules

Faults = Iterator[FieldError]
_CPU_UTILIZATION = 80
_SOURCES = {
    "ContainerResource": "containerResource", "External": "external", "Object": "object", "Pods": "pods",
    "Resource": "resource",
}  # fmt: skip
_TARGETS = {
    "resource": ("averageUtilization", "averageValue"),
    "containerResource": ("averageUtilization", "averageValue"),
    "pods": ("averageValue",),
    "object": ("value", "averageValue"),
    "external": ("value", "averageValue"),
}
_PERCENT = {"type": "Percent", "value": 100, "periodSeconds": 15}
_SCALE_UP: dict[str, Any] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, _PERCENT],
}
_SCALE_DOWN: dict[str, Any] = {"selectPolicy": "Max", "policies": [_PERCENT]}


def _default(obj: Object) -> None:
    spec = obj["spec"]
    fill(spec, minReplicas=1)
    if obj["apiVersion"] == "autoscaling/v1":
        if not _has_metrics(obj):
            fill(spec, targetCPUUtilizationPercentage=_CPU_UTILIZATION)
        return
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": _CPU_UTILIZATION}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if (behavior := spec.get("behavior")) is not None:
        behavior["scaleUp"] = _SCALE_UP | (behavior.get("scaleUp") or {})
        behavior["scaleDown"] = _SCALE_DOWN | (behavior.get("scaleDown") or {})


def _has_metrics(obj: Object) -> bool:
    return "autoscaling.alpha.kubernetes.io/metrics" in (obj["metadata"].get("annotations") or {})


def _autoscaler(obj: Object) -> Faults:
    spec, least, most = obj["spec"], obj["spec"]["minReplicas"], obj["spec"].get("maxReplicas", 0)
    if least < 1:
        yield invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in spec.get("metrics") or ()):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        yield forbidden("spec.metrics", text)
    if most == 0:
        yield required("spec.maxReplicas", "must be set and greater than 0")
    elif most < 0:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to 1")
    if most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for member in ("kind", "name"):
        if not target.get(member):
            yield required(f"spec.scaleTargetRef.{member}")
        else:
            texts = path_segment_faults(target[member])
            yield from (invalid(f"spec.scaleTargetRef.{member}", target[member], text) for text in texts)
    for place, metric in enumerate(spec.get("metrics") or ()):
        yield from _metric_faults(metric, f"spec.metrics[{place}]")
    behavior = spec.get("behavior") or {}
    for member in ("scaleUp", "scaleDown"):
        if behavior.get(member) is not None:
            yield from _rule_faults(behavior[member], f"spec.behavior.{member}")


def _new_target(obj: Object) -> Faults:
    """Of what is scaled the version must name a group: in the core group only one kind can be scaled."""
    target = obj["spec"].get("scaleTargetRef") or {}
    version = target.get("apiVersion", "")
    group, slash, rest = version.partition("/")
    if "/" in rest:
        yield invalid("spec.scaleTargetRef.apiVersion", version, f"unexpected GroupVersion string: {version}")
    elif not (slash and group) and target.get("kind") != "ReplicationController":
        yield invalid("spec.scaleTargetRef.apiVersion", version, "apiVersion must specify API group")


def _target_update(new: Object, old: Object) -> Faults:
    after, before = (o["spec"].get("scaleTargetRef") or {} for o in (new, old))
    if any(after.get(member) != before.get(member) for member in ("apiVersion", "kind")):
        yield from _new_target(new)


def _metric_faults(metric: Object, path: str) -> Faults:
    kind = metric.get("type", "")
    if not kind:
        yield required(f"{path}.type", "must specify a metric source type")
    if kind not in _SOURCES:
        yield from checks.one_supported(f"{path}.type", kind, tuple(_SOURCES), optional=True)
    sources = ("object", "external", "pods", "resource", "containerResource")
    given = [member for member in sources if metric.get(member) is not None]
    for member in given[:1]:
        yield from _source_faults(metric[member], member, f"{path}.{member}")
    expected = _SOURCES.get(kind, "")
    if expected and expected not in given:
        yield required(f"{path}.{expected}", "must populate information for the given metric source")
    for member in given:
        if len(given) != 1 and member != expected:
            text = "must populate the given metric source only"
            yield forbidden(f"{path}.{member}", text)


def _source_faults(source: Object, member: str, path: str) -> Faults:
    if member in ("resource", "containerResource"):
        yield from (
            FieldError(f.field, f.reason, "Required value: must specify a resource name")
            for f in checks.present(source, path, "name")
        )
    if member == "containerResource":
        yield from checks.present(source, path, "container")
        if source.get("container"):
            yield from checks.dns_label(f"{path}.container", source["container"])
        if source.get("name"):
            yield from container_resource_faults(f"{path}.name", source["name"])
    if member in ("pods", "object", "external"):
        metric = source.get("metric") or {}
        if not metric.get("name"):
            yield required(f"{path}.metric.name", "must specify a metric name")
        else:
            yield from checks.path_segment(f"{path}.metric.name", metric["name"])
    if member == "object":
        described = source.get("describedObject") or {}
        for name in ("kind", "name"):
            if described.get(name):
                yield from checks.path_segment(f"{path}.describedObject.{name}", described[name])
            else:
                yield required(f"{path}.describedObject.{name}")
    target, here = source.get("target") or {}, f"{path}.target"
    if not target.get("type"):
        yield required(f"{here}.type", "must specify a metric target type")
    if target.get("type", "") not in ("Utilization", "Value", "AverageValue"):
        text = "must be either Utilization, Value, or AverageValue"
        yield invalid(f"{here}.type", target.get("type", ""), text)
    given = [name for name in _TARGETS[member] if target.get(name) is not None]
    if not given:
        text = "must specify a positive target " + " or a target ".join(_TARGETS[member])
        missing = "averageValue" if member in ("object", "external") else _TARGETS[member][0]
        yield required(f"{here}.{missing}", text)
    if target.get("averageUtilization") is not None and target["averageUtilization"] < 1:
        yield invalid(f"{here}.averageUtilization", target["averageUtilization"], "must be greater than 0")
    for name in ("value", "averageValue"):
        if target.get(name) is not None and parse_quantity(target[name]).value <= 0:
            yield invalid(f"{here}.{name}", target[name], "must be positive")
    if member == "external" and len(given) > 1:
        text = "may not set both a target value for metric and a per-pod target"
        yield forbidden(f"{here}.value", text)
    if len(given) > 1 and "averageUtilization" in given:
        text = "may not set both a target raw value and a target utilization"
        yield forbidden(f"{here}.averageValue", text)


def _rule_faults(rules: Object, path: str) -> Faults:
    seconds = rules.get("stabilizationWindowSeconds")
    if seconds is not None and seconds < 0:
        yield invalid(f"{path}.stabilizationWindowSeconds", seconds, "must be greater than or equal to zero")
    if seconds is not None and seconds > 3600:
        yield invalid(f"{path}.stabilizationWindowSeconds", seconds, "must be less than or equal to 3600")
    policies = ("Disabled", "Max", "Min")
    if (select := rules.get("selectPolicy")) is not None:
        yield from checks.supported(f"{path}.selectPolicy", select, policies)
    if (tolerance := rules.get("tolerance")) is not None:
        yield from checks.amount(f"{path}.tolerance", tolerance)
    if not rules.get("policies"):
        yield required(f"{path}.policies", "must specify at least one Policy")
    for place, policy in enumerate(rules.get("policies") or ()):
        here = f"{path}.policies[{place}]"
        if policy.get("type") not in ("Percent", "Pods"):
            yield checks.unsupported(f"{here}.type", policy.get("type", ""), ("Percent", "Pods"))
        for member in ("value", "periodSeconds"):
            if policy.get(member, 0) <= 0:
                yield invalid(f"{here}.{member}", policy.get(member, 0), "must be greater than zero")
        if policy.get("periodSeconds", 0) > 1800:
            yield invalid(f"{here}.periodSeconds", policy["periodSeconds"], "must be less than or equal to 1800")


def _budget(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for member in ("minAvailable", "maxUnavailable"):
        if spec.get(member) is not None:
            yield from checks.int_or_percent(f"spec.{member}", spec[member])
            yield from checks.at_most_everything(f"spec.{member}", spec[member])
    yield from checks.selector("spec.selector", spec.get("selector"))
    policies = ("AlwaysAllow", "IfHealthyBudget")
    if (policy := spec.get("unhealthyPodEvictionPolicy")) not in (None, *policies):
        yield checks.unsupported("spec.unhealthyPodEvictionPolicy", policy, policies)


def _budget_status(new: Object, old: Object) -> Faults:
    status = new.get("status") or {}
    counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    yield from checks.nonnegative(status, "status", *counts)


ROWS = {
    ("autoscaling", "HorizontalPodAutoscaler"): Rules(
        default=(_default,),
        validate=(_autoscaler,),
        validate_create=(_new_target,),
        validate_update=(_target_update,),
    ),
    ("policy", "PodDisruptionBudget"): Rules(
        validate=(_budget,), validate_subresource={"status": (_budget_status,)}, generation=True
    ),
}

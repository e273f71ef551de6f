"""HorizontalPodAutoscaler between autoscaling/v2, which is stored, and v1, which has one CPU target and no conditions.

What v1 has no fields for travels in annotations, in the encoding that kube-apiserver gave them: metrics and statuses as
v1 wrote them once, behaviour by the names of its Go fields. Pure; the given object is never changed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from kcpshard.api.objects import Object

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, CURRENT, CONDITIONS = f"{_PREFIX}metrics", f"{_PREFIX}current-metrics", f"{_PREFIX}conditions"
BEHAVIOR = f"{_PREFIX}behavior"
_ALL = (METRICS, CURRENT, CONDITIONS, BEHAVIOR, f"{_PREFIX}scale-down-tolerance", f"{_PREFIX}scale-up-tolerance")
_CPU_UTILIZATION = 80
_STATUS = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")
_MEMBERS = ("object", "pods", "resource", "containerResource", "external")

Maker = Callable[[Object], Object]


def to_v1(obj: Object) -> Object:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    metrics, current = spec.get("metrics") or [], status.get("currentMetrics") or []
    notes = {key: value for key, value in (obj["metadata"].get("annotations") or {}).items() if key not in _ALL}
    others = [_metric_to_v1(metric, _SOURCES_TO_V1) for metric in metrics if _cpu_target(metric) is None]
    if others:
        notes[METRICS] = _text(others)
    if current:
        notes[CURRENT] = _text([_metric_to_v1(metric, _STATUSES_TO_V1) for metric in current])
    if spec.get("behavior") is not None:
        notes[BEHAVIOR] = _text(_go_behavior(spec["behavior"]))
    if status.get("conditions"):
        notes[CONDITIONS] = _text([_condition(condition) for condition in status["conditions"]])
    new_spec = {key: value for key, value in spec.items() if key not in ("metrics", "behavior")}
    if targets := [target for metric in metrics if (target := _cpu_target(metric)) is not None]:
        new_spec["targetCPUUtilizationPercentage"] = targets[0]
    new_status = {key: status[key] for key in _STATUS if key in status}
    if used := [use for metric in current if (use := _cpu_use(metric)) is not None]:
        new_status["currentCPUUtilizationPercentage"] = used[0]
    return _with_notes(
        {**obj, "spec": new_spec, "status": {"currentReplicas": 0, "desiredReplicas": 0} | new_status}, notes
    )


def to_v2(obj: Object) -> Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    notes = obj["metadata"].get("annotations") or {}
    target, use = spec.pop("targetCPUUtilizationPercentage", None), status.pop("currentCPUUtilizationPercentage", None)
    metrics = [] if target is None else [_cpu_metric(target)]
    metrics = [_metric_from_v1(m, _SOURCES_FROM_V1) for m in _list(notes, METRICS)] + metrics
    spec["metrics"] = metrics or [_cpu_metric(_CPU_UTILIZATION)]
    if behavior := _behavior(notes):
        spec["behavior"] = behavior
    current = (
        []
        if use is None
        else [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": use}}}]
    )
    if CURRENT in notes:
        current = [_metric_from_v1(m, _STATUSES_FROM_V1) for m in _list(notes, CURRENT)] or current
    if current:
        status["currentMetrics"] = current
    if conditions := _list(notes, CONDITIONS):
        status["conditions"] = [_condition(condition) for condition in conditions]
    status = {"currentMetrics": None, "desiredReplicas": 0} | {k: v for k, v in status.items() if v or k[0] == "d"}
    kept = {key: value for key, value in notes.items() if key not in _ALL}
    return _with_notes({**obj, "apiVersion": "autoscaling/v2", "spec": spec, "status": status}, kept)


def _with_notes(obj: Object, notes: Mapping[str, str]) -> Object:
    meta = {key: value for key, value in obj["metadata"].items() if key != "annotations"}
    if notes:
        meta["annotations"] = dict(notes)
    return {**obj, "metadata": meta}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _list(notes: Mapping[str, str], key: str) -> list[Object]:
    """What cannot be read is not there."""
    try:
        found = orjson.loads(notes.get(key) or "null")
    except orjson.JSONDecodeError:
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _cpu_metric(target: int) -> Object:
    found = {"type": "Utilization", "averageUtilization": target}
    return {"type": "Resource", "resource": {"name": "cpu", "target": found}}


def _cpu_target(metric: Object) -> int | None:
    """The utilization wanted of a metric that v1 has a field for."""
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    found: int | None = (resource.get("target") or {}).get("averageUtilization")
    return found


def _cpu_use(metric: Object) -> int | None:
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    found: int | None = (resource.get("current") or {}).get("averageUtilization")
    return found


def _condition(given: Object) -> Object:
    found = {"type": given.get("type", ""), "status": given.get("status", ""), "lastTransitionTime": None}
    found |= {key: given[key] for key in ("lastTransitionTime", "reason", "message") if given.get(key)}
    return found


# --- behaviour, by Go's names


def _go_behavior(behavior: Object) -> Object:
    return {go: _go_rules(behavior.get(name)) for go, name in (("ScaleUp", "scaleUp"), ("ScaleDown", "scaleDown"))}


def _go_rules(rules: Object | None) -> Object | None:
    if rules is None:
        return None
    policies = [
        {"Type": p.get("type", ""), "Value": p.get("value", 0), "PeriodSeconds": p.get("periodSeconds", 0)}
        for p in rules.get("policies") or ()
    ]
    return {
        "StabilizationWindowSeconds": rules.get("stabilizationWindowSeconds"),
        "SelectPolicy": rules.get("selectPolicy"),
        "Policies": policies or None,
        "Tolerance": rules.get("tolerance"),
    }


def _behavior(notes: Mapping[str, str]) -> Object:
    try:
        found = orjson.loads(notes.get(BEHAVIOR) or "null")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(found, dict):
        return {}
    pairs = (("scaleUp", found.get("ScaleUp")), ("scaleDown", found.get("ScaleDown")))
    return {name: _rules(rules) for name, rules in pairs if isinstance(rules, dict)}


def _rules(rules: Object) -> Object:
    names = {
        "StabilizationWindowSeconds": "stabilizationWindowSeconds",
        "SelectPolicy": "selectPolicy",
        "Tolerance": "tolerance",
    }
    found: Object = {name: rules[go] for go, name in names.items() if rules.get(go) is not None}
    policies = [p for p in rules.get("Policies") or () if isinstance(p, dict)]
    if policies:
        found["policies"] = [
            {"type": p.get("Type", ""), "value": p.get("Value", 0), "periodSeconds": p.get("PeriodSeconds", 0)}
            for p in policies
        ]
    return found


# --- metrics: what is wanted (target) and what is (current)


def _metric_to_v1(metric: Object, makers: Mapping[str, Maker]) -> Object:
    parts = {m: makers[m](metric[m]) for m in _MEMBERS if metric.get(m) is not None}
    return {"type": metric.get("type", ""), **parts}


def _metric_from_v1(metric: Object, makers: Mapping[str, Maker]) -> Object:
    parts = {m: makers[m](metric[m]) for m in _MEMBERS if isinstance(metric.get(m), dict)}
    return {"type": metric.get("type", ""), **parts}


def _given(**members: Any) -> Object:
    return {name: value for name, value in members.items() if value is not None}


def _reference(given: Any) -> Object:
    """An object's kind, name and, if it has one, version, in Go's order."""
    given = given or {}
    found = {"kind": given.get("kind", ""), "name": given.get("name", "")}
    return found | ({"apiVersion": given["apiVersion"]} if given.get("apiVersion") else {})


def _metric(name: str, selector: Any) -> Object:
    return {"name": name, **_given(selector=selector)}


def _object_source_to_v1(source: Object) -> Object:
    metric, target = source.get("metric") or {}, source.get("target") or {}
    return {
        "target": _reference(source.get("describedObject")),
        "metricName": metric.get("name", ""),
        "targetValue": target.get("value", "0"),
        **_given(selector=metric.get("selector"), averageValue=target.get("averageValue")),
    }


def _object_source(source: Object) -> Object:
    average, value = source.get("averageValue"), source.get("targetValue", "0")
    target = {"type": "Value", "value": value}
    if average is not None:
        target = {"type": "AverageValue", **({"value": value} if value != "0" else {}), "averageValue": average}
    return {
        "describedObject": _reference(source.get("target")),
        "target": target,
        "metric": _metric(source.get("metricName", ""), source.get("selector")),
    }


def _pods_source_to_v1(source: Object) -> Object:
    metric, target = source.get("metric") or {}, source.get("target") or {}
    found = {"metricName": metric.get("name", ""), "targetAverageValue": target.get("averageValue", "0")}
    return found | _given(selector=metric.get("selector"))


def _pods_source(source: Object) -> Object:
    target = {"type": "AverageValue", "averageValue": source.get("targetAverageValue", "0")}
    return {"metric": _metric(source.get("metricName", ""), source.get("selector")), "target": target}


def _resource_source_to_v1(source: Object) -> Object:
    target = source.get("target") or {}
    utilization, average = target.get("averageUtilization"), target.get("averageValue")
    found = _given(targetAverageUtilization=utilization, targetAverageValue=average)
    return {"name": source.get("name", ""), **found, **_given(container=source.get("container"))}


def _resource_source(source: Object) -> Object:
    utilization = source.get("targetAverageUtilization")
    found = _given(averageValue=source.get("targetAverageValue"), averageUtilization=utilization)
    target = {"type": "AverageValue" if utilization is None else "Utilization", **found}
    return {"name": source.get("name", ""), "target": target, **_given(container=source.get("container"))}


def _external_source_to_v1(source: Object) -> Object:
    metric, target = source.get("metric") or {}, source.get("target") or {}
    return {
        "metricName": metric.get("name", ""),
        **_given(
            metricSelector=metric.get("selector"),
            targetValue=target.get("value"),
            targetAverageValue=target.get("averageValue"),
        ),
    }


def _external_source(source: Object) -> Object:
    value = source.get("targetValue")
    found = _given(value=value, averageValue=source.get("targetAverageValue"))
    target = {"type": "AverageValue" if value is None else "Value", **found}
    return {"metric": _metric(source.get("metricName", ""), source.get("metricSelector")), "target": target}


def _object_status_to_v1(status: Object) -> Object:
    metric, current = status.get("metric") or {}, status.get("current") or {}
    return {
        "target": _reference(status.get("describedObject")),
        "metricName": metric.get("name", ""),
        "currentValue": current.get("value", "0"),
        **_given(selector=metric.get("selector"), averageValue=current.get("averageValue")),
    }


def _object_status(status: Object) -> Object:
    current = {"value": status.get("currentValue", "0"), **_given(averageValue=status.get("averageValue"))}
    metric = _metric(status.get("metricName", ""), status.get("selector"))
    return {"metric": metric, "current": current, "describedObject": _reference(status.get("target"))}


def _pods_status_to_v1(status: Object) -> Object:
    metric, current = status.get("metric") or {}, status.get("current") or {}
    found = {"metricName": metric.get("name", ""), "currentAverageValue": current.get("averageValue", "0")}
    return found | _given(selector=metric.get("selector"))


def _pods_status(status: Object) -> Object:
    metric = _metric(status.get("metricName", ""), status.get("selector"))
    return {"metric": metric, "current": {"averageValue": status.get("currentAverageValue", "0")}}


def _resource_status_to_v1(status: Object) -> Object:
    current = status.get("current") or {}
    return {
        "name": status.get("name", ""),
        **_given(currentAverageUtilization=current.get("averageUtilization")),
        "currentAverageValue": current.get("averageValue", "0"),
        **_given(container=status.get("container")),
    }


def _resource_status(status: Object) -> Object:
    utilization, value = status.get("currentAverageUtilization"), status.get("currentAverageValue", "0")
    # v1 writes nothing as "0".
    current = _given(averageUtilization=utilization, averageValue=None if utilization and value == "0" else value)
    return {"name": status.get("name", ""), "current": current, **_given(container=status.get("container"))}


def _external_status_to_v1(status: Object) -> Object:
    metric, current = status.get("metric") or {}, status.get("current") or {}
    return {
        "metricName": metric.get("name", ""),
        **_given(metricSelector=metric.get("selector")),
        "currentValue": current.get("value", "0"),
        **_given(currentAverageValue=current.get("averageValue")),
    }


def _external_status(status: Object) -> Object:
    current = {"value": status.get("currentValue", "0"), **_given(averageValue=status.get("currentAverageValue"))}
    return {"metric": _metric(status.get("metricName", ""), status.get("metricSelector")), "current": current}


_SOURCES_TO_V1: Mapping[str, Maker] = {
    "object": _object_source_to_v1, "pods": _pods_source_to_v1, "resource": _resource_source_to_v1,
    "containerResource": _resource_source_to_v1, "external": _external_source_to_v1,
}  # fmt: skip
_SOURCES_FROM_V1: Mapping[str, Maker] = {
    "object": _object_source, "pods": _pods_source, "resource": _resource_source,
    "containerResource": _resource_source, "external": _external_source,
}  # fmt: skip
_STATUSES_TO_V1: Mapping[str, Maker] = {
    "object": _object_status_to_v1, "pods": _pods_status_to_v1, "resource": _resource_status_to_v1,
    "containerResource": _resource_status_to_v1, "external": _external_status_to_v1,
}  # fmt: skip
_STATUSES_FROM_V1: Mapping[str, Maker] = {
    "object": _object_status, "pods": _pods_status, "resource": _resource_status,
    "containerResource": _resource_status, "external": _external_status,
}  # fmt: skip

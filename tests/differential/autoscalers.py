# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""HorizontalPodAutoscalers written in one version and read in the other."""

from collections.abc import Iterator
from typing import Any

from tests.differential.exchanges import MERGE, STRATEGIC, Exchange

V1 = "/apis/autoscaling/v1/namespaces/{ns}/horizontalpodautoscalers"
V2 = "/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers"
APPLY = "application/apply-patch+yaml"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
SELECTOR = {"matchLabels": {"a": "b"}}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
METRICS: dict[str, Any] = {
    "cpu": [CPU],
    "memory": [{"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}],
    "cpu by value": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "500m"}}}],
    "container": [{"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "a", "target": {"type": "Utilization", "averageUtilization": 60}}}],
    "pods": [{"type": "Pods", "pods": {"metric": {"name": "m", "selector": SELECTOR}, "target": {"type": "AverageValue", "averageValue": "10"}}}],
    "object": [{"type": "Object", "object": {"describedObject": {"apiVersion": "v1", "kind": "Service", "name": "s"}, "metric": {"name": "m"}, "target": {"type": "Value", "value": "10"}}}],
    "object average": [{"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "m", "selector": SELECTOR}, "target": {"type": "AverageValue", "averageValue": "3"}}}],
    "external": [{"type": "External", "external": {"metric": {"name": "m", "selector": SELECTOR}, "target": {"type": "Value", "value": "7"}}}],
    "external average": [{"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "7"}}}],
    "several": [CPU, {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "10"}}}, {**CPU, "resource": {**CPU["resource"], "target": {"type": "Utilization", "averageUtilization": 70}}}],  # type: ignore[dict-item]
}  # fmt: skip
BEHAVIORS: dict[str, Any] = {
    "empty": {},
    "up": {"scaleUp": {"stabilizationWindowSeconds": 5, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 10}]}},
    "both": {"scaleUp": {"selectPolicy": "Min"}, "scaleDown": {"selectPolicy": "Disabled"}},
}  # fmt: skip
STATUS: dict[str, Any] = {
    "observedGeneration": 1, "currentReplicas": 2, "desiredReplicas": 3, "lastScaleTime": "2026-01-01T00:00:00Z",
    "currentMetrics": [
        {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 42, "averageValue": "100m"}}}, {"type": "Pods", "pods": {"metric": {"name": "m"}, "current": {"averageValue": "4"}}},
        {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "m"}, "current": {"value": "4"}}}, {"type": "External", "external": {"metric": {"name": "m"}, "current": {"value": "4"}}},
        {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "a", "current": {"averageUtilization": 3, "averageValue": "5m"}}},
    ],
    "conditions": [{"type": "AbleToScale", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "R", "message": "m"}, {"type": "ScalingActive", "status": "False"}],
}  # fmt: skip


def autoscalers() -> list[Exchange]:
    rows = [*_from_v2(), *_from_v1(), *_refused()]
    return [row._replace(id=row.id and f"{place}: {row.id}") for place, row in enumerate(rows)]


def hpa(name: str, annotations: Any = None, **spec: Any) -> dict[str, Any]:
    meta = {"name": name} | ({"annotations": annotations} if annotations else {})
    return {"metadata": meta, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5, **spec}}


def _from_v2() -> Iterator[Exchange]:
    specs = {
        **{k: {"metrics": v} for k, v in METRICS.items()},
        **{f"behavior {k}": {"behavior": v} for k, v in BEHAVIORS.items()},
    }
    for place, (id_, spec) in enumerate(specs.items()):
        yield Exchange(f"create v2 {id_}", "POST", V2, hpa(f"a{place}", **spec))
        yield Exchange(f"get v1 {id_}", "GET", f"{V1}/a{place}")
        yield Exchange(f"status v2 {id_}", "PATCH", f"{V2}/a{place}/status", {"status": STATUS}, MERGE)
        yield Exchange(f"get v1 with status {id_}", "GET", f"{V1}/a{place}", save=f"s{place}")
        yield Exchange(f"patch v1 {id_}", "PATCH", f"{V1}/a{place}", {"spec": {"maxReplicas": 9}}, STRATEGIC)
        yield Exchange(f"get v2 after {id_}", "GET", f"{V2}/a{place}")
        yield Exchange(
            f"put v1 without annotations {id_}",
            "PUT",
            f"{V1}/a{place}",
            hpa(f"a{place}", targetCPUUtilizationPercentage=33),
        )
        yield Exchange(f"get v2 after put {id_}", "GET", f"{V2}/a{place}")
    yield Exchange("list v1", "GET", f"{V1}?limit=3")


def _from_v1() -> Iterator[Exchange]:
    metrics = '[{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"3"}}]'
    notes = {
        "plain": {"a": "b"},
        "metrics": {"autoscaling.alpha.kubernetes.io/metrics": metrics},
        "broken": {"autoscaling.alpha.kubernetes.io/metrics": "{"},
        "behavior": {
            "autoscaling.alpha.kubernetes.io/behavior": '{"ScaleUp":{"SelectPolicy":"Min","Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":5}]}}'
        },
    }
    for place, (id_, annotations) in enumerate(notes.items()):
        yield Exchange(f"create v1 {id_}", "POST", V1, hpa(f"b{place}", annotations))
        yield Exchange(f"get v2 {id_}", "GET", f"{V2}/b{place}")
        yield Exchange(
            f"create v1 with target {id_}",
            "POST",
            V1,
            hpa(f"c{place}", annotations, targetCPUUtilizationPercentage=40, minReplicas=2),
        )
        yield Exchange(f"get v2 with target {id_}", "GET", f"{V2}/c{place}")
        yield Exchange(
            f"status v1 {id_}",
            "PATCH",
            f"{V1}/c{place}/status",
            {
                "status": {"currentReplicas": 1, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 30},
                "spec": {"maxReplicas": 99},
            },
            MERGE,
        )
        yield Exchange(f"get v2 after status {id_}", "GET", f"{V2}/c{place}")
    applied = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        **hpa("d", targetCPUUtilizationPercentage=10),
    }
    yield Exchange("apply v1", "PATCH", f"{V1}/d?fieldManager=m", applied, APPLY)
    yield Exchange(
        "apply v1 again",
        "PATCH",
        f"{V1}/d?fieldManager=m",
        {**applied, "spec": {**applied["spec"], "maxReplicas": 7}},
        APPLY,
    )
    yield Exchange("get v2 applied", "GET", f"{V2}/d")
    yield Exchange(
        "apply v2 over it",
        "PATCH",
        f"{V2}/d?fieldManager=n",
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", **hpa("d", metrics=METRICS["memory"])},
        APPLY,
    )
    yield Exchange("dry run", "POST", f"{V1}?dryRun=All", hpa("e", targetCPUUtilizationPercentage=10))


def _refused() -> Iterator[Exchange]:
    for id_, spec in {
        "no replicas": {"maxReplicas": 0},
        "less than least": {"minReplicas": 9},
        "negative": {"minReplicas": -1},
        "no target": {"scaleTargetRef": {}},
        "target of nothing": {"targetCPUUtilizationPercentage": 0},
        "unknown": {"metrics": []},
    }.items():
        yield Exchange(f"refused {id_}", "POST", f"{V1}?dryRun=All&fieldValidation=Strict", hpa("x", **spec))

from typing import Any

import pytest

from kcpshard.definitions.autoscaler_conversion import to_v1, to_v2
from tests.differential.autoscalers import BEHAVIORS, METRICS, STATUS, hpa


def stored(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", **hpa("a", **spec)}


@pytest.mark.parametrize("name", [name for name in METRICS if name != "several"])
def test_metrics_survive_the_way_through_v1(name: str) -> None:
    obj = stored(metrics=METRICS[name])
    assert to_v2(to_v1(obj))["spec"] == obj["spec"]


def test_of_several_the_first_cpu_target_is_v1s() -> None:
    there = to_v1(stored(metrics=METRICS["several"]))
    assert there["spec"]["targetCPUUtilizationPercentage"] == 50
    assert [m["type"] for m in to_v2(there)["spec"]["metrics"]] == ["Pods", "Resource"]


@pytest.mark.parametrize("name", ["up", "both"])
def test_behavior_and_status_survive(name: str) -> None:
    obj = stored(metrics=METRICS["cpu"], behavior=BEHAVIORS[name]) | {"status": STATUS}
    back = to_v2(to_v1(obj))
    assert (back["spec"], back["metadata"]) == (obj["spec"], obj["metadata"])
    assert back["status"]["currentMetrics"] == STATUS["currentMetrics"]
    assert back["status"]["conditions"][0] == STATUS["conditions"][0]


def test_what_cannot_be_read_is_not_there() -> None:
    notes = {"autoscaling.alpha.kubernetes.io/metrics": "{", "autoscaling.alpha.kubernetes.io/behavior": "[]", "a": "b"}
    found = to_v2(hpa("a", notes))
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert found["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 80

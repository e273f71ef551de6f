from typing import Any

from kcpfront.printers.workloads import PRINTERS

NOW = 1_700_000_000.0


def test_autoscalers_of_v1_tell_their_targets_too() -> None:
    note = '[{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"3"}}]'
    obj: dict[str, Any] = {
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": "a", "annotations": {"autoscaling.alpha.kubernetes.io/metrics": note}},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "targetCPUUtilizationPercentage": 40},
        "status": {"currentCPUUtilizationPercentage": 12},
    }
    cells = PRINTERS["autoscaling", "horizontalpodautoscalers"].cells(obj, NOW)
    assert cells[1:4] == ["Deployment/d", "<unknown>/3, cpu: 12%/40%", "<unset>"]


def test_a_running_job_tells_how_long() -> None:
    job = {"metadata": {"name": "a"}, "status": {"startTime": "2023-11-14T22:11:20Z"}}
    assert PRINTERS["batch", "jobs"].cells(job, NOW)[1:4] == ["Running", "0/1", "2m"]

from typing import Any

from kcpshard.definitions.builtin import builtin_resources

FULL = {(r.group, r.version, r.plural): r for r in builtin_resources("full")}
STRATEGY = FULL["autoscaling", "v1", "horizontalpodautoscalers"].strategy


def hpa(**spec: Any) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    document = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}}
    return {**document, "spec": {"scaleTargetRef": target, "maxReplicas": 3, **spec}}


def test_defaults_are_the_versions_own_and_idempotent() -> None:
    obj = hpa()
    STRATEGY.default(obj)
    assert (obj["apiVersion"], obj["spec"]["targetCPUUtilizationPercentage"]) == ("autoscaling/v1", 80)
    again = {**obj}
    STRATEGY.default(again)
    assert again == obj


def test_faults_are_those_of_the_stored_form() -> None:
    obj = hpa(targetCPUUtilizationPercentage=0)
    STRATEGY.default(obj)
    assert [f.field for f in STRATEGY.validate_create(obj)] == ["spec.metrics[0].resource.target.averageUtilization"]


def test_a_status_update_keeps_the_spec_even_where_it_is_in_annotations() -> None:
    old = hpa()
    old["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/behavior": '{"ScaleUp":{"SelectPolicy":"Min"}}'}
    STRATEGY.default(old)
    new = hpa(maxReplicas=9) | {"status": {"currentReplicas": 2, "desiredReplicas": 2}}
    STRATEGY.default(new)
    STRATEGY.prepare_update(new, old, "status")
    assert (new["spec"], new["status"]["currentReplicas"]) == (old["spec"], 2)
    assert new["metadata"]["annotations"] == old["metadata"]["annotations"]

from kcpshard.definitions.builtin import builtin_resources

HPA = next(r for r in builtin_resources("full") if r.kind == "HorizontalPodAutoscaler" and r.version == "v2")


def test_behaviour_is_completed_not_replaced() -> None:
    obj = {"apiVersion": "autoscaling/v2", "metadata": {}, "spec": {"behavior": {"scaleUp": {"selectPolicy": "Min"}}}}
    HPA.strategy.default(obj)
    behavior = obj["spec"]["behavior"]  # type: ignore[index]
    assert behavior["scaleUp"]["selectPolicy"] == "Min"
    assert len(behavior["scaleUp"]["policies"]) == 2
    assert behavior["scaleDown"]["policies"] == [{"type": "Percent", "value": 100, "periodSeconds": 15}]

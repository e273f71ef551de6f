from typing import Any

from kcpshard.verbs.conditions import set_condition


def test_a_condition_is_added_and_replaced() -> None:
    status: dict[str, Any] = {}
    set_condition(status, {"type": "Ready", "status": "True"}, "t1")
    assert status["conditions"] == [
        {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": "t1"}
    ]
    set_condition(status, {"type": "Ready", "status": "True", "reason": "R"}, "t2")
    assert status["conditions"][0]["lastTransitionTime"] == "t1"
    set_condition(status, {"type": "Ready", "status": "False"}, "t3")
    assert status["conditions"] == [
        {"type": "Ready", "status": "False", "lastProbeTime": None, "lastTransitionTime": "t3"}
    ]

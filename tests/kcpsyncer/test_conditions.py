"""Conditions keep the time of their last transition."""

from kcpsyncer.conditions import Condition, status_of, with_conditions

THEN, NOW = "2026-11-30T11:00:00Z", "2026-11-30T12:00:00Z"
READY = {"type": "Ready", "status": "True", "lastTransitionTime": THEN, "reason": "R"}


def test_a_transition_time_moves_only_with_the_status() -> None:
    same = with_conditions([READY], [Condition("Ready", "True", "Other", "m")], NOW)
    assert same == [
        {"type": "Ready", "status": "True", "lastTransitionTime": THEN, "reason": "Other", "message": "m"}
    ]  # fmt: skip
    changed = with_conditions([READY], [Condition("Ready", "False")], NOW)
    assert changed == [{"type": "Ready", "status": "False", "lastTransitionTime": NOW}]


def test_others_stay_unless_they_are_to_go() -> None:
    others = [READY, {"type": "Old", "status": "True"}]
    assert [c["type"] for c in with_conditions(others, [Condition("New", "True")], NOW)] == ["Ready", "Old", "New"]
    assert [c["type"] for c in with_conditions(others, [], NOW, without=["Old"])] == ["Ready"]


def test_status_of() -> None:
    assert status_of([READY], "Ready") == "True"
    assert status_of(None, "Ready") == ""

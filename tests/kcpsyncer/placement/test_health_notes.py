from kcpsyncer.placement.failure_detection import Health, Judgement
from kcpsyncer.placement.health_notes import health_condition, health_notes

HEALTHY, SUSPECT, LOST = Health.HEALTHY, Health.SUSPECT, Health.LOST
FROZEN = "2 of 2 clusters are silent: that is more than half"


def told(before: Judgement, now: Judgement) -> list[tuple[str, str]]:
    return [(note.cluster, note.reason) for note in health_notes(before, now)]


def test_each_change_is_told_once() -> None:
    well = Judgement({"a": HEALTHY, "b": HEALTHY})
    silent = Judgement({"a": SUSPECT, "b": HEALTHY})
    lost = Judgement({"a": LOST, "b": HEALTHY})
    assert told(well, silent) == [("a", "ClusterSuspect")]
    assert told(silent, silent) == []
    assert told(silent, lost) == [("a", "ClusterLost")]
    assert told(lost, well) == [("a", "ClusterReturned")]
    assert told(Judgement({}), well) == []


def test_a_frozen_failover_is_told_of_all_that_are_silent() -> None:
    one = Judgement({"a": SUSPECT, "b": HEALTHY})
    both = Judgement({"a": SUSPECT, "b": SUSPECT}, FROZEN)
    assert told(one, both) == [("a", "FailoverFrozen"), ("b", "ClusterSuspect"), ("b", "FailoverFrozen")]
    assert told(both, both) == []
    assert told(both, one) == [("a", "FailoverResumed"), ("b", "ClusterReturned"), ("b", "FailoverResumed")]


def test_conditions() -> None:
    found = {}
    frozen = Judgement({"silent": SUSPECT, "gone": LOST}, FROZEN)
    for judgement in (Judgement({"well": HEALTHY, "suspect": SUSPECT}), frozen):
        for name in judgement.health:
            condition = health_condition(name, judgement)
            assert condition is not None
            found[name] = (condition.status, condition.reason)
    assert found == {
        "well": ("True", "Heard"),
        "suspect": ("Unknown", "Suspect"),
        "silent": ("Unknown", "FailoverFrozen"),
        "gone": ("False", "Lost"),
    }
    assert health_condition("nobody", frozen) is None

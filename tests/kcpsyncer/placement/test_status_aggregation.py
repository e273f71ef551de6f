"""The whole is what its parts are."""

from typing import Any

from kcpsyncer.placement.status_aggregation import aggregated

NOW, BEFORE = "2026-11-30T12:00:00Z", "2026-11-30T11:00:00Z"
ROOT: dict[str, Any] = {"kind": "Deployment", "metadata": {"generation": 3}}


def leaf(generation: int = 1, observed: int = 1, conditions: dict[str, str] | None = None, **counters: Any) -> Any:
    made = [
        {"type": kind, "status": status, "reason": "R", "message": "m"} for kind, status in (conditions or {}).items()
    ]
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": made, **counters},
    }


def found(root: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return aggregated(root, parts, NOW)


def test_counters_are_summed() -> None:
    status = found(
        ROOT, east=leaf(replicas=8, readyReplicas=8), west=leaf(replicas=7, readyReplicas=5, unavailableReplicas=2)
    )
    assert {k: v for k, v in status.items() if k != "conditions"} == {
        "replicas": 15, "readyReplicas": 13, "unavailableReplicas": 2, "observedGeneration": 3
    }  # fmt: skip
    assert found(ROOT) == {"replicas": 0}


def test_the_generation_is_observed_when_all_have_observed_theirs() -> None:
    root = {**ROOT, "status": {"observedGeneration": 2}}
    assert found(root, east=leaf(), west=leaf(generation=2, observed=1))["observedGeneration"] == 2
    assert found(root, east=leaf(), west=leaf(generation=2, observed=2))["observedGeneration"] == 3


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("message", "")) for c in status["conditions"]}


def test_it_works_where_it_works_everywhere() -> None:
    good = leaf(conditions={"Available": "True"})
    assert conditions(found(ROOT, east=good, west=good)) == {"Available": ("True", "m")}
    bad = leaf(conditions={"Available": "False"})
    assert conditions(found(ROOT, east=good, west=bad)) == {"Available": ("False", "west: m")}
    silent = leaf()
    assert conditions(found(ROOT, east=good, west=silent))["Available"][0] == "Unknown"


def test_it_failed_where_it_failed_anywhere() -> None:
    failed = leaf(conditions={"ReplicaFailure": "True"})
    assert conditions(found(ROOT, east=leaf(), west=failed)) == {"ReplicaFailure": ("True", "west: m")}
    was = {
        **ROOT,
        "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "lastTransitionTime": BEFORE}]},
    }
    assert "conditions" not in found(was, east=leaf(), west=leaf())


def test_conditions_of_others_and_times_stay() -> None:
    old = [
        {"type": "Placed", "status": "True", "lastTransitionTime": BEFORE},
        {"type": "Available", "status": "True", "lastTransitionTime": BEFORE},
    ]
    status = found({**ROOT, "status": {"conditions": old}}, east=leaf(conditions={"Available": "True"}))
    assert [(c["type"], c["lastTransitionTime"]) for c in status["conditions"]] == [
        ("Placed", BEFORE), ("Available", BEFORE)
    ]  # fmt: skip


def test_a_job_ends_with_its_last_part() -> None:
    job = {"kind": "Job", "metadata": {}}
    first = leaf(succeeded=6, startTime=BEFORE, completionTime=NOW)
    assert found(job, east=first, west=leaf(active=2, startTime=NOW))["startTime"] == BEFORE
    assert "completionTime" not in found(job, east=first, west=leaf(active=2))
    done = found(job, east=first, west=leaf(succeeded=5, completionTime=BEFORE))
    assert (done["completionTime"], done["succeeded"]) == (NOW, 11)

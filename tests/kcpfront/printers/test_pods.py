from kcpfront.printers.pods import POD

NOW = 1_700_000_000.0


def test_a_pod_of_which_nothing_is_known() -> None:
    assert POD.cells({"metadata": {"name": "a"}}, NOW)[:4] == ["a", "0/0", "", "0"]


def test_a_lost_pod_and_one_that_goes() -> None:
    meta = {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert POD.cells({"metadata": meta, "status": {"reason": "NodeLost", "phase": "Running"}}, NOW)[2] == "Unknown"
    assert POD.cells({"metadata": meta, "status": {"phase": "Running"}}, NOW)[2] == "Terminating"
    assert POD.cells({"metadata": meta, "status": {"phase": "Succeeded"}}, NOW)[2] == "Succeeded"


def test_restarts_tell_when() -> None:
    container = {"restartCount": 2, "lastState": {"terminated": {"finishedAt": "2023-11-14T22:11:20Z"}}}
    pod = {"metadata": {"name": "a"}, "status": {"containerStatuses": [container]}}
    assert POD.cells(pod, NOW)[3] == "2 (2m ago)"

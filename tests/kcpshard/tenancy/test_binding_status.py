from kcpshard.tenancy.binding_status import EXPORT_VALID, UP_TO_DATE, BindingStatus, applied

CLAIM = {"group": "", "resource": "configmaps", "verbs": ["get", "list"]}


def test_a_binding_is_ready_when_all_is_well() -> None:
    status = BindingStatus({}, "now")
    status.say(EXPORT_VALID)
    status.say(UP_TO_DATE)
    waiting = status.finished()
    ready = next(each for each in waiting["conditions"] if each["type"] == "Ready")
    assert (waiting["phase"], ready["status"]) == ("Binding", "False")
    status.bind("root:a", [{"group": "g", "resource": "r"}])
    found = status.finished()
    assert (found["phase"], found["apiExportClusterName"]) == ("Bound", "root:a")
    assert all(each["status"] == "True" and "reason" not in each for each in found["conditions"])
    assert BindingStatus({"status": found}, "later").finished() == found


def test_what_is_wrong_is_said_by_ready_too() -> None:
    status = BindingStatus({}, "now")
    status.say(EXPORT_VALID, "APIExportNotFound", "it is gone")
    (ready,) = [each for each in status.finished()["conditions"] if each["type"] == "Ready"]
    assert (ready["reason"], ready["message"]) == ("APIExportNotFound", "it is gone")


def test_claims_in_force_have_the_verbs_of_both() -> None:
    accepted = {**CLAIM, "state": "Accepted", "selector": {"matchAll": True}}
    found, wrong = applied([{**CLAIM, "verbs": ["*"]}], [accepted])
    assert (found[0]["verbs"], wrong) == (["get", "list"], [])
    assert applied([CLAIM], [{**accepted, "verbs": ["*"]}])[0][0]["verbs"] == ["get", "list"]
    assert applied([CLAIM], [{**accepted, "verbs": ["delete"]}]) == ([], [])
    assert applied([CLAIM], [{**accepted, "state": "Rejected"}]) == ([], [])
    assert applied([], [accepted]) == ([], ["configmaps"])

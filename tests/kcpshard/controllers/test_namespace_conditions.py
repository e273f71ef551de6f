from kcpshard.controllers.namespace_conditions import conditions, remaining


def test_types_and_finalizers_are_counted() -> None:
    found = remaining([("pods.", ["a", "b"]), ("pods.", ["a"]), ("xs.x.com", [])], ["no"])
    assert found.objects == {"pods.": 2, "xs.x.com": 1} and found.finalizers == {"a": 2, "b": 1}
    assert not found.is_empty and remaining([], []).is_empty and not remaining([], ["no"]).is_empty


def test_messages_list_in_order() -> None:
    made = {c["type"]: c for c in conditions([], remaining([("xs.x.com", []), ("pods.", ["b", "a"])], ["no"]), "now")}
    assert made["NamespaceContentRemaining"]["message"].endswith(
        ": pods. has 1 resource instances, xs.x.com has 1 resource instances"
    )
    assert made["NamespaceFinalizersRemaining"]["message"].endswith(
        ": a in 1 resource instances, b in 1 resource instances"
    )
    failure = made["NamespaceDeletionContentFailure"]
    assert (failure["status"], failure["reason"]) == ("True", "ContentDeletionFailed")
    assert failure["message"] == "Failed to delete all resource types, no"


def test_a_time_stays_while_the_status_does_and_other_conditions_are_kept() -> None:
    own = {"type": "Mine", "status": "True"}
    first = conditions([own], remaining([("pods.", [])], []), "one")
    second = conditions(first, remaining([], []), "two")
    assert second[0] == own and [c["type"] for c in first] == [c["type"] for c in second]
    times = {c["type"]: c.get("lastTransitionTime") for c in second}
    assert times["NamespaceContentRemaining"] == "two" and times["NamespaceFinalizersRemaining"] == "one"

from typing import Any

import pytest

from kcp.promotion import Change, changes, meaning, operation

AT = 1_700_000_100_000_000_001  # revision: second 1 700 000 100
BEFORE, SINCE = 1_700_000_050_000_000_001, 1_700_000_200_000_000_001
EARLY, LATE = "2023-11-14T22:13:50Z", "2023-11-14T22:16:00Z"  # 30 s before, 100 s after


def obj(name: str, revision: int, value: str = "1", created: str = EARLY, **meta: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "resourceVersion": str(revision),
        "creationTimestamp": created,
        "uid": f"u-{name}",
        **meta,
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": value}}


def one(origin: list[Any], fork: list[Any]) -> Change | None:
    found = changes(origin, fork, AT)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("origin", "fork", "verb", "conflict"),
    [
        ([obj("a", BEFORE)], [obj("a", BEFORE)], "", ""),
        ([obj("a", SINCE, "2")], [obj("a", BEFORE)], "", ""),  # only the origin has changed it
        ([], [obj("a", BEFORE)], "", ""),  # only the origin has deleted it
        ([obj("a", SINCE, created=LATE)], [], "", ""),  # made in the origin
        ([obj("a", BEFORE)], [obj("a", SINCE, "2")], "Update", ""),
        ([obj("a", SINCE, "3")], [obj("a", SINCE, "2")], "Update", "changed in both"),
        ([obj("a", SINCE, "2")], [obj("a", SINCE, "2")], "", ""),  # they say the same
        ([obj("a", BEFORE)], [], "Delete", ""),
        ([obj("a", SINCE, "2")], [], "Delete", "deleted in the fork, changed in the origin"),
        ([], [obj("a", SINCE, created=LATE)], "Create", ""),
        ([], [obj("a", SINCE)], "Create", "changed in the fork, deleted in the origin"),
        ([obj("a", SINCE, "3", LATE)], [obj("a", SINCE, "2", LATE)], "Update", "made in both"),
    ],
)
def test_who_has_changed_what(origin: list[Any], fork: list[Any], verb: str, conflict: str) -> None:
    found = one(origin, fork)
    assert (found.verb if found else "", found.conflict if found else "") == (verb, conflict)


def test_the_forks_first_state_tells_what_there_was() -> None:
    ours, theirs = obj("a", SINCE, "2", LATE), obj("a", SINCE, "3", LATE)
    assert changes([ours], [], AT) == [] and changes([ours], [], AT, []) == []
    assert changes([ours], [], AT, [ours])[0].conflict
    assert changes([], [theirs], AT, [])[0].conflict == ""
    assert changes([], [theirs], AT, [theirs])[0].conflict
    assert changes([], [theirs], AT, [{**theirs, "metadata": {**theirs["metadata"], "uid": "other"}}])[0].conflict == ""


def test_what_a_controller_owns_is_its_own() -> None:
    owned = obj("a", SINCE, created=LATE, ownerReferences=[{"controller": True}])
    assert changes([], [owned], AT) == []


def test_operations_name_the_state_they_were_decided_for() -> None:
    ours, theirs = obj("a", BEFORE, namespace="n"), {**obj("a", SINCE, "2", namespace="n"), "status": {"s": 1}}
    precise = {"uid": "u-a", "resourceVersion": str(BEFORE)}
    update = operation(Change("Update", ours, theirs))
    assert update["preconditions"] == precise and update["object"]["data"] == {"k": "2"}
    assert update["object"]["metadata"]["resourceVersion"] == str(BEFORE) and "status" not in update["object"]
    assert operation(Change("Create", None, theirs)) == {"verb": "Create", "object": meaning(theirs)}
    delete = operation(Change("Delete", ours, None))
    assert delete == {
        "verb": "Delete",
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}},
        "preconditions": precise,
    }
    assert Change("Delete", ours, None).place == ("n", "a")

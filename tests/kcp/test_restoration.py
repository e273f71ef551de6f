from typing import Any

from kcp.restoration import is_owned, plan


def thing(name: str, value: str = "", uid: str = "u", **metadata: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "n", "uid": uid, "resourceVersion": "1", **metadata}
    return {"kind": "Thing", "metadata": meta, "spec": {"value": value}, "status": {"seen": value}}


def test_what_is_as_it_was_is_left_alone() -> None:
    assert plan([thing("a")], [thing("a", resourceVersion="9", managedFields=[{}])]) == []
    changed_status = {**thing("a"), "status": {"seen": "other"}}
    assert plan([thing("a")], [changed_status]) == []


def test_what_is_gone_is_made_anew() -> None:
    (made,) = plan([thing("a", "v", creationTimestamp="t", deletionTimestamp="t", labels={"k": "v"})], [])
    assert made.verb == "create"
    assert made.object == {
        "kind": "Thing",
        "metadata": {"name": "a", "namespace": "n", "labels": {"k": "v"}},
        "spec": {"value": "v"},
    }


def test_what_was_changed_is_changed_back_over_what_is_there_now() -> None:
    now = thing("a", "new", uid="now", resourceVersion="7", labels={"new": "1"})
    (back,) = plan([thing("a", "old", labels={"old": "1"})], [now])
    assert (back.verb, back.uid) == ("update", "now")
    assert back.object["spec"] == {"value": "old"} and back.object["status"] == {"seen": "new"}
    expected = {"name": "a", "namespace": "n", "labels": {"old": "1"}, "uid": "now", "resourceVersion": "7"}
    assert back.object["metadata"] == expected


def test_what_is_newer_would_be_deleted_last() -> None:
    operations = plan([thing("a")], [thing("b", uid="b")])
    assert [(each.verb, each.object["metadata"]["name"]) for each in operations] == [("create", "a"), ("delete", "b")]
    assert operations[-1].uid == "b"


def test_what_a_controller_owns_is_its_business() -> None:
    owned = thing("a", ownerReferences=[{"uid": "o", "controller": True}])
    assert is_owned(owned) and not is_owned(thing("a"))
    assert plan([owned], []) == [] and plan([], [owned]) == []


def test_dead_owners_are_not_named() -> None:
    owners = [{"uid": "alive"}, {"uid": "dead"}]
    (made,) = plan([thing("a", ownerReferences=owners)], [], frozenset(("alive",)))
    assert made.object["metadata"]["ownerReferences"] == [{"uid": "alive"}]
    (made,) = plan([thing("a", ownerReferences=owners)], [])
    assert "ownerReferences" not in made.object["metadata"]

from typing import Any

from kcpshard.definitions.crd_documents import names_of
from kcpshard.definitions.crd_naming import Claims, Taken, decided, set_condition, terminating
from tests.contracts.custom_types import crd

OTHER = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList", "shortNames": ["w"]}


def wanting(**names: Any) -> dict[str, Any]:
    obj = crd()
    obj["spec"]["names"] = {**obj["spec"]["names"], "singular": "widget", "listKind": "WidgetList", **names}
    return obj


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {c["type"]: f"{c['status']} {c['reason']}" for c in status["conditions"]}


def test_free_names_are_accepted() -> None:
    status = decided(wanting(shortNames=["wd"]), Taken([names_of(OTHER)]), "now")
    assert status["acceptedNames"] == {
        "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList", "shortNames": ["wd"],
    }  # fmt: skip
    assert conditions(status) == {"NamesAccepted": "True NoConflicts", "Established": "True InitialNamesAccepted"}
    again = {**wanting(shortNames=["wd"]), "status": status}
    assert decided(again, Taken([]), "later") == status


def test_a_name_in_use_is_not_accepted_and_the_others_are() -> None:
    status = decided(wanting(shortNames=["w"], kind="Gadget"), Taken([names_of(OTHER)]), "now")
    assert conditions(status) == {"NamesAccepted": "False KindConflict", "Established": "False NotAccepted"}
    assert (status["acceptedNames"]["plural"], status["acceptedNames"]["kind"]) == ("widgets", "")


def test_what_was_established_stays_so() -> None:
    obj = wanting()
    obj["status"] = decided(obj, Taken([]), "now")
    obj["spec"]["names"]["shortNames"] = ["w"]
    status = decided(obj, Taken([names_of(OTHER)]), "later")
    assert conditions(status) == {
        "NamesAccepted": "False ShortNamesConflict",
        "Established": "True InitialNamesAccepted",
    }
    assert [c["lastTransitionTime"] for c in status["conditions"]] == ["later", "now"]


def test_groups_of_the_community_need_an_approval() -> None:
    obj = wanting()
    obj["spec"]["group"] = "x.k8s.io"
    obj["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, experimental"}
    assert conditions(decided(obj, Taken([]), "now"))["KubernetesAPIApprovalPolicyConformant"].startswith("False")


def test_conditions() -> None:
    found: list[dict[str, Any]] = []
    set_condition(found, "T", "True", "A", "a", "one")
    set_condition(found, "T", "True", "B", "b", "two")
    assert [(c["reason"], c["lastTransitionTime"]) for c in found] == [("B", "one")]
    assert terminating(crd(), "True", "R", "m", "now")["conditions"][0]["type"] == "Terminating"


def test_claims_follow_who_comes_and_goes() -> None:
    claims = Claims()
    own, other = names_of(wanting(kind="Widget")["spec"]["names"]), names_of(OTHER)
    claims.add(own)
    claims.add(other)
    taken = Taken([], claims, own)
    assert other.plural in taken.resources
    assert other.kind in taken.kinds
    assert own.kind not in taken.kinds or own.kind == other.kind
    claims.add(other, -1)
    assert other.plural not in taken.resources
    assert own.plural in Taken([], claims).resources
    claims.add(own, -1)
    assert not claims.resources
    assert not claims.kinds

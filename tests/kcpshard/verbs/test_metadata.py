from typing import Any

import pytest

from kcpshard.definitions.contract import MetadataRules
from kcpshard.verbs.metadata import (
    created_faults,
    deduplicate_owners,
    fill_created,
    fill_updated,
    generated_name,
    later_faults,
    updated_faults,
)

OLD = {"name": "a", "namespace": "ns", "uid": "u", "resourceVersion": "7", "creationTimestamp": "T", "generation": 3}
GOING = {**OLD, "deletionTimestamp": "D", "deletionGracePeriodSeconds": 0, "finalizers": ["x.com/a"]}


def test_generated_names_leave_room_for_the_suffix() -> None:
    assert len(generated_name("x" * 100)) == 63
    assert generated_name("a-").startswith("a-")


def test_a_new_object_has_what_the_server_gives_it() -> None:
    given = {"uid": "x", "resourceVersion": "5", "labels": {"a": None}, "annotations": {}, "nonsense": 1, "name": "a"}
    found = fill_created(given, "ns", 1_700_000_000_000_000)
    assert found.pop("uid") not in ("x", "")
    assert found == {"name": "a", "namespace": "ns", "creationTimestamp": "2023-11-14T22:13:20Z", "labels": {"a": ""}}
    assert "namespace" not in fill_created({"name": "a", "namespace": "x"}, "", 0)


def test_an_update_keeps_what_is_not_the_clients() -> None:
    found = fill_updated({"name": "a", "creationTimestamp": "X", "generation": 9, "resourceVersion": "1"}, GOING)
    assert found == {k: v for k, v in GOING.items() if k != "finalizers"}


@pytest.mark.parametrize(
    ("meta", "fields"),
    [
        pytest.param({"name": "a"}, [], id="fine"),
        pytest.param({}, ["metadata.name"], id="no name"),
        pytest.param({"name": "A"}, ["metadata.name"], id="name"),
        pytest.param({"name": "a-x", "generateName": "a-"}, [], id="a prefix may end in a dash"),
        pytest.param({"name": "AB-x", "generateName": "AB-"}, ["metadata.generateName", "metadata.name"], id="prefix"),
        pytest.param({"name": "a", "labels": {"a b": "-"}}, ["metadata.labels"] * 2, id="label key and value"),
        pytest.param({"name": "a", "annotations": {"UP/x": "any thing"}}, [], id="annotation keys have any case"),
        pytest.param(
            {"name": "a", "annotations": {"k": "v" * 262144}}, ["metadata.annotations"], id="annotations' size"
        ),
        pytest.param({"name": "a", "finalizers": ["a"]}, ["metadata.finalizers[0]"], id="unqualified finalizer"),
        pytest.param({"name": "a", "finalizers": ["kubernetes", "x/y"]}, [], id="finalizers"),
        pytest.param({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]}, ["metadata.finalizers"], id="both"),
        pytest.param(
            {"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}]},
            ["metadata.ownerReferences"],
            id="owned by an event",
        ),
        pytest.param(
            {"name": "a", "ownerReferences": [{"apiVersion": "apps/"}]},
            [f"metadata.ownerReferences.{member}" for member in ("apiVersion", "kind", "name", "uid")],
            id="owner",
        ),
        pytest.param({"name": "a", "generation": -1}, ["metadata.generation"], id="generation"),
        pytest.param(
            {"name": "a", "labels": {"k" * 400: "v" * 400}}, ["metadata.labels"] * 2, id="too long to be kept"
        ),
    ],
)
def test_faults_of_a_new_object(meta: dict[str, Any], fields: list[str]) -> None:
    assert [fault.field for fault in created_faults(meta, MetadataRules())] == fields


@pytest.mark.parametrize(
    ("rule", "name", "is_legal"),
    [
        ("subdomain", "a.b", True),
        ("label", "a.b", False),
        ("label", "1a", True),
        ("any", "a/b", True),
        ("path_segment", "system:A b", True),
        ("path_segment", "a/b", False),
        ("path_segment", "..", False),
    ],
)
def test_name_rules(rule: str, name: str, is_legal: bool) -> None:
    assert (created_faults({"name": name}, MetadataRules(rule)) == []) == is_legal


def test_what_is_general_is_said_once_the_kind_has_found_nothing() -> None:
    later = MetadataRules("path_segment", is_lenient=True, is_later=True)
    assert created_faults({"name": "a/b"}, later) == []
    assert [fault.field for fault in later_faults({"name": "a/b"}, later)] == ["metadata.name"]
    assert [fault.field for fault in later_faults({"name": "a/b"}, MetadataRules("any"))] == ["metadata.name"]
    assert later_faults({"name": "a/b"}, MetadataRules()) == []


def test_a_prefix_is_judged_anew_as_the_kind_says() -> None:
    new = {**OLD, "generateName": "A"}
    assert updated_faults(new, OLD, MetadataRules()) == []
    assert [f.field for f in updated_faults(new, OLD, MetadataRules(update_name="subdomain"))] == [
        "metadata.generateName"
    ]


def test_two_controllers_are_named() -> None:
    owner = {"apiVersion": "v1", "kind": "x", "name": "e", "uid": "u", "controller": True}
    (fault,) = created_faults(
        {"name": "a", "ownerReferences": [owner, {**owner, "name": "f", "uid": "v"}]}, MetadataRules("label")
    )
    assert 'Found "true" in references for x/e and x/f' in fault.detail


@pytest.mark.parametrize(
    ("new", "old", "fields"),
    [
        pytest.param(OLD, OLD, [], id="equal"),
        pytest.param({**OLD, "uid": "x"}, OLD, ["metadata.uid"], id="uid"),
        pytest.param({**OLD, "deletionTimestamp": "D"}, OLD, ["metadata.deletionTimestamp"], id="deletionTimestamp"),
        pytest.param(
            {**GOING, "finalizers": ["x.com/a", "x.com/b"]}, GOING, ["metadata.finalizers"], id="more finalizers"
        ),
        pytest.param({**GOING, "finalizers": []}, GOING, [], id="fewer finalizers"),
        pytest.param({**OLD, "finalizers": ["x.com/b"]}, OLD, [], id="finalizers of a living object"),
        pytest.param({**OLD, "labels": {"a b": ""}}, OLD, ["metadata.labels"], id="new labels are judged"),
        pytest.param({**OLD, "labels": {"a b": ""}}, {**OLD, "labels": {"a b": ""}}, [], id="old labels are not"),
    ],
)
def test_faults_of_an_update(new: dict[str, Any], old: dict[str, Any], fields: list[str]) -> None:
    assert [fault.field for fault in updated_faults(new, old, MetadataRules())] == fields


def test_duplicate_owners_go_by_uid() -> None:
    meta = {"ownerReferences": [{"uid": "1", "name": "a"}, {"uid": "2"}, {"uid": "1", "name": "b"}]}
    (warning,) = deduplicate_owners(meta)
    assert warning.endswith("duplicate UID(s) observed: 1")
    assert meta == {"ownerReferences": [{"uid": "1", "name": "a"}, {"uid": "2"}]}
    assert deduplicate_owners(meta) == []

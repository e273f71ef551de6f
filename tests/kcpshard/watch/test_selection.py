import pytest

from kcpshard.api.events import Change, EventType
from kcpshard.api.selectors import parse_field_selector, parse_label_selector
from kcpshard.storage import envelope
from kcpshard.watch.selection import Form, Outcome, Selection
from tests.contracts.stored_objects import put


def value(revision: int, app: str = "", type_: str = "", data: str = "") -> bytes:
    made = put("a", labels={"app": app} if app else {}, data=data)
    fields = envelope.encode_pairs({"type": type_} if type_ else {})
    labels = envelope.encode_pairs(made.labels)
    return envelope.encode(made.json, made.hole, made.annotations, revision, 1, "u", "v1", labels, fields, 0)


def refuse(_json: bytes) -> bytes:
    raise AssertionError("nothing to convert")


FORM = Form(envelope, "v1", refuse)
ADDED, MODIFIED, DELETED = EventType


def change(type_: EventType, now: bytes, before: bytes | None) -> Change:
    return Change(type_, 7, "configmaps", "default", "a", now, before)


@pytest.mark.parametrize(
    ("type_", "now", "before", "outcome"),
    [
        pytest.param(ADDED, "x", None, Outcome.ADDED, id="created inside"),
        pytest.param(ADDED, "y", None, Outcome.NOTHING, id="created outside"),
        pytest.param(MODIFIED, "x", "x", Outcome.MODIFIED, id="stays inside"),
        pytest.param(MODIFIED, "x", "y", Outcome.ADDED, id="enters"),
        pytest.param(MODIFIED, "y", "x", Outcome.LEFT, id="leaves"),
        pytest.param(MODIFIED, "y", "", Outcome.NOTHING, id="stays outside"),
        pytest.param(DELETED, "x", "x", Outcome.DELETED, id="deleted inside"),
        pytest.param(DELETED, "y", "y", Outcome.NOTHING, id="deleted outside"),
        pytest.param(DELETED, "y", "x", Outcome.DELETED, id="the state before the deletion decides"),
        pytest.param(DELETED, "x", None, Outcome.DELETED, id="deleted, as the log tells it"),
    ],
)
def test_outcome_of_a_label_selection(type_: EventType, now: str, before: str | None, outcome: Outcome) -> None:
    selection = Selection(FORM, labels=parse_label_selector("app=x"))
    made = change(type_, value(7, now), None if before is None else value(6, before))
    assert selection.outcome(made) == outcome


@pytest.mark.parametrize("type_", EventType)
def test_without_selectors_the_outcome_is_the_changes_type(type_: EventType) -> None:
    assert Selection(FORM).outcome(change(type_, value(7), None)) == type_


def test_fields_are_those_of_the_header_and_of_the_key() -> None:
    selection = Selection(FORM, fields=parse_field_selector("type=t,metadata.name!=b", ("type",)))
    assert selection.selects("default", "a", value(1, type_="t"))
    assert not selection.selects("default", "b", value(1, type_="t"))
    assert not selection.selects("default", "a", value(1, type_="other"))


@pytest.mark.parametrize(
    ("namespace", "name", "covered"),
    [("", "", True), ("default", "", True), ("other", "", False), ("", "a", True), ("default", "b", False)],
)
def test_a_place_covers_its_keys(namespace: str, name: str, covered: bool) -> None:
    assert Selection(FORM, namespace, name).covers("default", "a") is covered


def test_single_is_one_key() -> None:
    assert Selection(FORM, "default", "a").single
    assert not Selection(FORM, "", "a").single
    assert Selection(FORM, "", "a", namespaced=False).single


def test_an_object_that_left_is_shown_as_it_was_at_the_new_revision() -> None:
    shown = Selection(FORM).show(change(MODIFIED, value(7, "y", data="new"), value(6, "x", data="old")), Outcome.LEFT)
    assert b'"old"' in shown
    assert b'"resourceVersion":"0000000000000000007"' in shown


def test_only_another_version_is_converted() -> None:
    form = Form(envelope, "v2", lambda json: b"converted " + json[:5])
    assert form.render(value(7)).startswith(b"converted")
    assert form.render_at(value(7), 8).startswith(b"converted")
    assert FORM.render(value(7)) == envelope.body(value(7))

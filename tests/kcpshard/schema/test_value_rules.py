from typing import Any

import pytest

from kcpshard.schema.value_rules import IDIOM, canonical, kind_of, meet_rules

TEXT, WHOLE, NUMBER = frozenset({"string"}), frozenset({"integer"}), frozenset({"integer", "fraction"})


def test_nothing_said_is_nothing_met() -> None:
    assert meet_rules({}, {}, TEXT) == ({}, (), ())


@pytest.mark.parametrize(
    ("first", "second", "kinds", "met"),
    [
        ({"format": "int64"}, {"format": "double"}, WHOLE, "int64"),
        ({"format": "double"}, {"format": "int64"}, WHOLE, "int64"),
        ({"format": "double"}, {}, NUMBER, "double"),
        ({}, {"format": "int32"}, WHOLE, "int32"),
    ],
)
def test_formats_of_numbers(first: Any, second: Any, kinds: frozenset[str], met: str) -> None:
    found = meet_rules(first, second, kinds)
    assert found.met == {"format": met} and not found.conflicts


def test_an_open_end_counts_for_the_whole_part() -> None:
    """An integer is compared with the whole part: 1 satisfies minimum 1.5, and must not where 1 itself is left out."""
    found = meet_rules({"minimum": 1.5}, {"minimum": 1, "exclusiveMinimum": True}, WHOLE)
    assert found.met == {"minimum": 1.5, "exclusiveMinimum": True}


def test_values_of_another_type_leave_the_enum() -> None:
    assert meet_rules({"enum": [1, "a"]}, {}, TEXT).met == {"enum": ["a"]}
    assert meet_rules({"enum": [1]}, {}, TEXT).conflicts


def test_the_idiom_of_int_or_string_is_no_demand() -> None:
    assert meet_rules({}, {"anyOf": IDIOM}, frozenset({"integer", "string"})) == ({}, (), ())


def test_what_is_said_names_what_is_gone() -> None:
    found = meet_rules({"enum": ["a", "b"]}, {"enum": ["b"]}, TEXT)
    assert [t.said for t in found.tightened] == ["values removed: a"]


def test_no_common_multiple_is_known_of_fractions() -> None:
    assert meet_rules({"multipleOf": 0.1}, {"multipleOf": 0.3}, NUMBER).conflicts


def test_rules_are_told_apart_by_their_text() -> None:
    rule = "x-kubernetes-validations"
    first, second = {rule: [{"rule": "self > 0"}]}, {rule: [{"rule": "self > 0", "message": "m"}, {"rule": "self < 9"}]}
    found = meet_rules(first, second, WHOLE)
    assert [r["rule"] for r in found.met[rule]] == ["self > 0", "self < 9"]
    assert [t.rule for t in found.tightened] == [rule]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "boolean"), (1, "integer"), (2.0, "integer"), (0.5, "fraction"), ([], "array"), ({}, "object")],
)
def test_kinds(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


def test_equal_numbers_are_equal() -> None:
    assert canonical(1.0) == canonical(1) != canonical(True)

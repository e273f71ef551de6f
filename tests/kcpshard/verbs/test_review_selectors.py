from typing import Any

import pytest

from kcpshard.api.selectors import FieldTerm, Requirement
from kcpshard.verbs.review_selectors import narrowed, selector_faults

FIELDS, LABELS = "spec.resourceAttributes.fieldSelector", "spec.resourceAttributes.labelSelector"


def requirement(operator: str, *values: str, key: str = "k") -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


def test_what_a_review_is_narrowed_to() -> None:
    found = narrowed({"fieldSelector": {"rawSelector": "a=b,c!=d"}, "labelSelector": {"rawSelector": "x in (y)"}})
    assert found == (
        (FieldTerm("a", True, "b"), FieldTerm("c", False, "d")), (Requirement("x", "in", ("y",)),), "",
    )  # fmt: skip
    fields = {"requirements": [requirement("In", "b"), requirement("NotIn", "c")]}
    labels = {"requirements": [requirement("Exists"), requirement("NotIn", "c")]}
    assert narrowed({"fieldSelector": fields, "labelSelector": labels}) == (
        (FieldTerm("k", True, "b"), FieldTerm("k", False, "c")),
        (Requirement("k", "exists", ()), Requirement("k", "notin", ("c",))),
        "",
    )


@pytest.mark.parametrize(
    ("selector", "error"),
    [
        ({"rawSelector": "x"}, f"{FIELDS} ignored due to parse error"),
        ({"requirements": [requirement("Exists")]}, f"{FIELDS} ignored due to parse error"),
        ({"requirements": [requirement("In", "a"), requirement("In", "a", "b")]},
         f"{FIELDS} partially ignored due to parse error"),
    ],
)  # fmt: skip
def test_what_is_not_understood_narrows_nothing(selector: dict[str, Any], error: str) -> None:
    assert narrowed({"fieldSelector": selector}).error == error


@pytest.mark.parametrize(
    ("attributes", "fields"),
    [
        ({}, []),
        ({"fieldSelector": {}}, [f"{FIELDS}.requirements"]),
        ({"fieldSelector": {"rawSelector": "a=b", "requirements": [requirement("In", "x")]}},
         [f"{FIELDS}.rawSelector"]),
        ({"fieldSelector": {"requirements": [requirement("In", key="")]}},
         [f"{FIELDS}.requirements[0].key", f"{FIELDS}.requirements[0].values"]),
        ({"labelSelector": {"requirements": [requirement("Exists", "-")]}},
         [f"{LABELS}.requirements[0].values", f"{LABELS}.requirements[0].values[0]"]),
        ({"labelSelector": {"requirements": [requirement("New", "x")]}}, []),
    ],
)  # fmt: skip
def test_faults(attributes: dict[str, Any], fields: list[str]) -> None:
    assert [fault.field for fault in selector_faults(attributes)] == fields

"""Rules beside a real kube-apiserver 1.36, whose answers to the same objects and updates are recorded here."""

import json
from pathlib import Path
from typing import Any

import pytest

from kcpshard.cel.rules import Rules, compile_rules
from kcpshard.schema.structural import Structural

HERE = Path(__file__).parent
VALUES = json.loads((HERE / "values.json").read_text())
TRANSITIONS = json.loads((HERE / "transitions.json").read_text())
# Wordings and a notation that differ.
KNOWN = {"'%e'.format([1234.5]) == '1.234500e+03'"}


def rules(schema: dict[str, Any]) -> Rules:
    found = compile_rules(Structural(schema))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "wanted"), [pytest.param(*a, id=a[0]) for a in VALUES["answers"] if a[0] not in KNOWN]
)
def test_an_expression_has_the_value_it_has_in_kube_apiserver(text: str, wanted: str | None) -> None:
    rule = {"rule": text, "message": "RULE"}
    spec = {"type": "object", "properties": VALUES["properties"], "x-kubernetes-validations": [rule]}
    found = rules({"type": "object", "properties": {"spec": spec}}).validate({"spec": VALUES["object"]}, None)
    assert [f.detail for f in found] == ([] if wanted is None else [wanted])


@pytest.mark.parametrize("place", range(len(TRANSITIONS["answers"])))
def test_creates_updates_and_unchanged_faults(place: int) -> None:
    case = TRANSITIONS["answers"][place]
    found = rules(TRANSITIONS["schema"]).validate(case["new"], case["old"])
    assert sorted([f.field, f.reason, f.detail] for f in found) == case["faults"]


def test_a_schema_without_rules_has_none() -> None:
    assert compile_rules(Structural({"type": "object", "properties": {"a": {"type": "string"}}})) is None


def test_what_costs_too_much_ends_the_validation() -> None:
    loop = "self.all(a, self.all(b, self.all(c, a + b + c > 0)))"
    schema = {"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [{"rule": loop}] * 2}
    found = rules({"type": "object", "properties": {"l": schema}}).validate({"l": list(range(1, 200))}, None)
    assert [f.field for f in found] == ["l"]
    assert "actual cost limit exceeded" in found[0].detail

"""Definitions beside a real kube-apiserver 1.36: its answers to the same rules are recorded next to this file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kcpshard.cel.schema_check import check_schema

RECORDED = json.loads((Path(__file__).parent / "definitions.json").read_text())


def of_class(faults: list[Any]) -> list[tuple[str, str, str]]:
    """Without what a parser of another make says about the text after its first complaint."""
    return [(f[0], f[1], re.split(r"Syntax error|ERROR|factor of", f[2])[0]) for f in faults]


@pytest.mark.parametrize(
    ("rule", "wanted"), [pytest.param(*a, id=f"{i} {a[0]['rule']!r}") for i, a in enumerate(RECORDED["answers"])]
)
def test_a_rule_is_refused_as_kube_apiserver_refuses_it(rule: dict[str, Any], wanted: list[Any]) -> None:
    spec = {"type": "object", "properties": RECORDED["properties"], "x-kubernetes-validations": [rule]}
    found = check_schema({"type": "object", "properties": {"spec": spec}}, "spec.validation.openAPIV3Schema")
    assert of_class(found) == of_class(wanted)


def test_most_sentences_are_the_same() -> None:
    same = 0
    for rule, wanted in RECORDED["answers"]:
        spec = {"type": "object", "properties": RECORDED["properties"], "x-kubernetes-validations": [rule]}
        found = check_schema({"type": "object", "properties": {"spec": spec}}, "spec.validation.openAPIV3Schema")
        same += [list(f) for f in found] == wanted
    assert same >= 0.95 * len(RECORDED["answers"])


def test_rules_in_a_list_that_cannot_be_correlated_see_no_old_value() -> None:
    items = {"type": "string", "maxLength": 5, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    schema = {"type": "object", "properties": {"l": {"type": "array", "maxItems": 3, "items": items}}}
    (fault,) = check_schema(schema, "s")
    assert fault.field == "s.properties[l].items.x-kubernetes-validations[0].rule"
    assert fault.detail.endswith(
        "oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[l]"
    )

"""Conditions that decide whether a webhook is asked; judged beside kube-apiserver's in
tests/differential/authorization_webhooks.py."""

from typing import Any

import pytest

from kcpshard.authorization.match_conditions import MatchFault, are_met, compile_condition
from kcpshard.cel.checking import CompileFault

SPEC: dict[str, Any] = {"user": "jane", "resourceAttributes": {"verb": "get", "resource": "pods"}}


def met(*texts: str) -> bool:
    return are_met([compile_condition(text) for text in texts], SPEC)


def test_all_must_be_true() -> None:
    assert met()
    assert met("request.user == 'jane'", "request.resourceAttributes.resource == 'pods'")
    assert not met("request.user == 'jane'", "request.resourceAttributes.verb == 'list'")


def test_strings_that_are_left_out_are_empty_and_objects_are_not_there() -> None:
    assert met("request.uid == '' && request.resourceAttributes.namespace == '' && request.groups.size() == 0")
    assert met("!has(request.nonResourceAttributes) && !has(request.resourceAttributes.fieldSelector)")


def test_one_that_is_false_decides_whatever_others_say() -> None:
    assert not met("request.extra['x'][0] == 'y'", "request.user == 'joe'")
    with pytest.raises(MatchFault, match=r"expression 'request.extra\['x'\]\[0\] == 'y'' resulted in error"):
        met("request.extra['x'][0] == 'y'", "request.user == 'jane'")


@pytest.mark.parametrize("text", ["", "request.user", "request.verb == 'get'", "request.resourceAttributes.verb == 1"])
def test_what_cannot_be_compiled(text: str) -> None:
    with pytest.raises(CompileFault):
        compile_condition(text)

from typing import Any

import pytest

from kcpshard.api import loop_time
from kcpshard.api.requests import Identity
from kcpshard.cel.admission import (
    IS_BOOL,
    IS_JSON_PATCH,
    IS_OBJECT,
    IS_STRING_OR_NULL,
    compiled,
    declarations,
    variable_type,
)
from kcpshard.cel.authorization import Authorizer, Decision, ResourceCheck
from kcpshard.cel.evaluation import CostExceeded
from kcpshard.cel.types import DYN, INT, OPAQUE, list_of
from kcpshard.cel.values import Struct


@pytest.mark.parametrize(
    ("text", "wanted", "fault"),
    [
        pytest.param("object.x", IS_BOOL, "must evaluate to bool but got dyn", id="dyn is not a bool"),
        pytest.param("1", IS_STRING_OR_NULL, "must evaluate to one of [string null_type] but got int", id="one of two"),
        pytest.param("request.foo == 1", IS_BOOL, "undefined field 'foo'", id="a request has its fields only"),
        pytest.param("params == 1", IS_BOOL, "undeclared reference to 'params'", id="no parameters, no variable"),
        pytest.param("Object{}", (), "undeclared reference to 'Object'", id="patches are for mutations"),
        pytest.param("authorizer.requestResource.check('get').allowed()", IS_BOOL, "", id="a variable with a dot"),
    ],
)
def test_what_is_wrong_with_an_expression(text: str, wanted: Any, fault: str) -> None:
    found = compiled(text, declarations(False), wanted)
    assert fault in found.fault and bool(found.program) is not bool(fault)


def evaluated(text: str, wanted: Any) -> Any:
    found = compiled(text, declarations(False), wanted, makes_patches=True)
    assert found.program, found.fault
    someone = Authorizer(Identity("u"), lambda question: Decision(question.verb == "get"))
    check = ResourceCheck(someone, "", "pods")
    return found.program.evaluate({"a": 1}, None, None, {}, None, someone, check, None)


def test_patches_are_values() -> None:
    made, cost = evaluated("Object{spec: Object.spec{replicas: object.a, ?x: object[?'gone']}}", IS_OBJECT)
    assert made == Struct("Object", {"spec": Struct("Object.spec", {"replicas": 1})}) and cost > 80
    patch, _ = evaluated(
        "[JSONPatch{op: 'add', path: '/' + jsonpatch.escapeKey('a/~'), value: {'x': 1}}]", IS_JSON_PATCH
    )
    assert patch[0].fields["path"] == "/a~1~0"


def test_the_authorizer_is_dear() -> None:
    allowed, cost = evaluated("authorizer.requestResource.check('get').allowed()", IS_BOOL)
    assert allowed is True and cost > 350_000


def test_of_some_types_a_variable_keeps_nothing() -> None:
    assert variable_type(OPAQUE["quantity"]) is DYN
    assert variable_type(list_of(INT)).params[0] is INT


def test_asking_the_authorizer_does_not_count_as_time() -> None:
    """A loop's bound on the work of one expression leaves room for what only its price makes dear."""
    loop_time.bound()
    try:
        text = "authorizer.requestResource.check('get').allowed() && authorizer.requestResource.check('get').allowed()"
        assert evaluated(text, IS_BOOL)[1] > 700_000
        with pytest.raises(loop_time.TooLong):
            evaluated("lists.range(1000).all(x, lists.range(1000).all(y, y >= 0))", IS_BOOL)
    finally:
        loop_time.bound(1 << 62, 1 << 62)


def test_three_questions_are_one_too_many() -> None:
    text = " && ".join(["authorizer.requestResource.check('get').allowed()"] * 3)
    with pytest.raises(CostExceeded):
        evaluated(text, IS_BOOL)

from typing import Any

import pytest

from kcpfront.authentication.claim_expressions import CLAIMS, USER, celled, compile_expression
from kcpfront.authentication.credential import InvalidToken
from kcpshard.cel.checking import CompileFault

VALUES: dict[str, Any] = {
    "sub": "ada",
    "level": 3,
    "acme.io/team": "t",
    "nested": [{"a.b": "deep"}],
    "exp": 10,
    "nbf": 4,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("claims.sub + '!'", "ada!"),
        ("claims.level == 3", True),
        ("string(claims.level)", "3"),
        ("claims.exp - claims.nbf <= 6", True),
        ("type(claims.exp) == double", True),
        ("claims['acme.io/team']", "t"),
        ("claims.acme__dot__io__slash__team", "t"),
        ("claims.nested[0].a__dot__b", "deep"),
        ("has(claims.missing)", False),
        ("claims.?missing.orValue('none')", "none"),
        ("claims.sub.split('d')", ["a", "a"]),
    ],
)
def test_claims(text: str, value: object) -> None:
    assert compile_expression(text, CLAIMS).value(celled(VALUES), "x") == value


def test_a_user() -> None:
    user = {"username": "ada", "uid": "1", "groups": ["a"], "extra": {"k": ["v"]}}
    text = "user.username == 'ada' && 'a' in user.groups && user.extra['k'][0] == 'v'"
    assert compile_expression(text, USER, is_condition=True).value(user, "x") is True


@pytest.mark.parametrize("text", ["claims.", "user.username", "nothing", "object.metadata"])
def test_what_is_no_expression_of_claims(text: str) -> None:
    with pytest.raises(CompileFault):
        compile_expression(text, CLAIMS)


def test_a_condition_is_a_bool() -> None:
    with pytest.raises(CompileFault, match="must evaluate to bool"):
        compile_expression("'true'", CLAIMS, is_condition=True)


def test_a_failure_says_what_was_to_be_found_out() -> None:
    with pytest.raises(InvalidToken, match="error evaluating the team: no such key: missing"):
        compile_expression("claims.missing", CLAIMS).value(VALUES, "the team")


def test_a_costly_expression_ends() -> None:
    text = "claims.l.all(a, claims.l.all(b, claims.l.all(c, claims.l.all(d, a + b + c + d >= 0.0))))"
    with pytest.raises(InvalidToken):
        compile_expression(text, CLAIMS).value({"l": [1.0] * 100}, "x")


def test_which_claims_it_names() -> None:
    assert compile_expression("claims.email", CLAIMS).selected == {"email"}
    assert compile_expression("claims.?email_verified.orValue(true) ? claims.sub : ''", CLAIMS).selected == {
        "email_verified",
        "sub",
    }
    assert compile_expression("claims.a.email", CLAIMS).selected == {"a"}

from typing import Any

import pytest

from kcpfront.authentication.claim_mappings import identity_of
from kcpfront.authentication.configuration import Issuer, read_configuration
from kcpfront.authentication.credential import InvalidToken

CLAIMS: dict[str, Any] = {"sub": "ada", "jti": "7", "roles": ["a", "b"], "email": "a@x", "hd": "acme.io", "n": 1}


def issuer(username: dict[str, Any] | None = None, rules: Any = (), user_rules: Any = (), **mappings: Any) -> Issuer:
    made = {
        "issuer": {"url": "https://idp", "audiences": ["kcp"]},
        "claimMappings": {"username": username or {"claim": "sub", "prefix": "o:"}, **mappings},
        "claimValidationRules": list(rules),
        "userValidationRules": list(user_rules),
    }
    head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
    return read_configuration({**head, "jwt": [made]}).issuers[0]


def test_claims_with_prefixes() -> None:
    found = identity_of(CLAIMS, issuer(groups={"claim": "roles", "prefix": "o:"}, uid={"claim": "jti"}))
    assert found.username == "o:ada" and found.uid == "7" and found.scope == 0
    assert found.groups == ("o:a", "o:b", "system:authenticated")
    assert found.extra == {"authentication.kubernetes.io/credential-id": ["JTI=7"]}


def test_expressions() -> None:
    extra = [
        {"key": "acme.io/all", "valueExpression": "claims.roles + ['']"},
        {"key": "acme.io/none", "valueExpression": "''"},
    ]
    made = issuer(
        {"expression": "claims.sub + '@' + claims.hd"},
        groups={"expression": "claims.roles.map(r, 'g:' + r)"},
        uid={"expression": "'u' + claims.jti"},
        extra=extra,
    )
    found = identity_of(CLAIMS, made)
    assert (found.username, found.uid) == ("ada@acme.io", "u7")
    assert found.groups == ("g:a", "g:b", "system:authenticated")
    assert found.extra["acme.io/all"] == ["a", "b"] and "acme.io/none" not in found.extra


def test_one_group_as_a_string_and_none_at_all() -> None:
    made = issuer(groups={"claim": "roles", "prefix": ""})
    assert identity_of({**CLAIMS, "roles": "dev"}, made).groups == ("dev", "system:authenticated")
    assert identity_of({"sub": "ada"}, made).groups == ("system:authenticated",)


@pytest.mark.parametrize(
    ("claims", "made", "text"),
    [
        ({}, issuer(), 'username claim "sub" is not present'),
        ({"sub": 1}, issuer(), 'username claim "sub" is not a string'),
        ({"sub": "a", "g": [1]}, issuer(groups={"claim": "g", "prefix": ""}), "neither a string nor a list"),
        ({"sub": "a"}, issuer(uid={"claim": "u"}), 'uid claim "u" is not present'),
        (CLAIMS, issuer({"expression": "claims.n"}), "must return a string"),
        (CLAIMS, issuer({"expression": "''"}), "empty username"),
        (CLAIMS, issuer({"expression": "claims.missing"}), "no such key: missing"),
        (CLAIMS, issuer(groups={"expression": "claims.n"}), "must return a string or a list of strings"),
        (CLAIMS, issuer(uid={"expression": "claims.n"}), "uid claim expression must return a string"),
        (
            CLAIMS,
            issuer(rules=[{"claim": "hd", "requiredValue": "other.io"}]),
            "required claim hd value does not match",
        ),
        (CLAIMS, issuer(rules=[{"claim": "x", "requiredValue": "y"}]), "required claim x not present"),
        (CLAIMS, issuer(rules=[{"expression": "claims.n == 2", "message": "two"}]), "'claims.n == 2' failed: two"),
        (
            CLAIMS,
            issuer(user_rules=[{"expression": "user.username.startsWith('x')", "message": "no x"}]),
            "failed: no x",
        ),
    ],
)
def test_what_is_refused(claims: dict[str, Any], made: Issuer, text: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        identity_of(claims, made)
    assert text in str(caught.value) and "acme.io" not in str(caught.value)


@pytest.mark.parametrize(("verified", "accepted"), [(True, True), (False, False), ("true", False), (None, False)])
def test_an_address_that_is_not_verified_is_no_name(verified: object, accepted: bool) -> None:
    made = issuer({"claim": "email", "prefix": ""})
    if accepted:
        assert identity_of({**CLAIMS, "email_verified": verified}, made).username == "a@x"
    else:
        with pytest.raises(InvalidToken, match="email not verified"):
            identity_of({**CLAIMS, "email_verified": verified}, made)
    assert identity_of(CLAIMS, made).username == "a@x"


def test_who_says_to_be_nobody_is_not_authenticated() -> None:
    assert identity_of({"sub": "system:anonymous"}, issuer({"claim": "sub", "prefix": ""})).groups == ()


def test_groups_as_they_come_and_null_as_nothing() -> None:
    made = issuer(groups={"claim": "roles", "prefix": ""})
    assert identity_of({"sub": "a", "roles": ["x", "y", "x"]}, made).groups == ("x", "y", "x", "system:authenticated")
    assert identity_of({"sub": None}, issuer({"claim": "sub", "prefix": "p:"})).username == "p:"

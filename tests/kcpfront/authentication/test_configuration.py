from typing import Any

import pytest
import yaml

from kcpfront.authentication.configuration import Configuration, InvalidConfiguration, read_configuration
from tests.kcpfront.tls_files import Authority

ISSUER = {"url": "https://idp.example.com", "audiences": ["kcp"]}
MAPPINGS = {"username": {"claim": "sub", "prefix": ""}}


def document(*issuers: dict[str, Any], **more: Any) -> dict[str, Any]:
    head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
    return {**head, "jwt": list(issuers), **more}


def entry(mappings: dict[str, Any] | None = None, issuer: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"issuer": {**ISSUER, **(issuer or {})}, "claimMappings": {**MAPPINGS, **(mappings or {})}, **more}


def fault(given: object) -> str:
    with pytest.raises(InvalidConfiguration) as caught:
        read_configuration(given, ("https://ours",))
    return str(caught.value)


def test_everything_at_once() -> None:
    text = """
apiVersion: apiserver.config.k8s.io/v1beta1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions: [{path: /livez}]
jwt:
- issuer:
    url: https://a.example.com
    discoveryURL: https://inside.example.com/d
    audiences: [one, two]
    audienceMatchPolicy: MatchAny
  claimMappings:
    username: {expression: "'a:' + claims.email"}
    groups: {claim: roles, prefix: "a:"}
    uid: {claim: sub}
    extra:
    - {key: acme.io/team, valueExpression: claims.team}
  claimValidationRules:
  - {claim: hd, requiredValue: acme.io}
  - {expression: claims.email_verified == true, message: verify your address}
  userValidationRules:
  - {expression: "!user.username.startsWith('system:')", message: reserved}
- issuer: {url: "https://b.example.com", audiences: [one]}
  claimMappings: {username: {claim: sub, prefix: ""}}
"""
    found = read_configuration(yaml.safe_load(text))
    first, second = found.issuers
    assert (found.anonymous, found.anonymous_paths) == (True, {"/livez"})
    assert (first.url, first.discovery_url, first.audiences) == (
        "https://a.example.com",
        "https://inside.example.com/d",
        {"one", "two"},
    )
    assert (first.groups.claim, first.groups.prefix, first.uid.claim) == ("roles", "a:", "sub")
    assert list(first.extra) == ["acme.io/team"]
    assert [(rule.claim, rule.message) for rule in first.claim_rules] == [("hd", ""), ("", "verify your address")]
    assert second.username.claim == "sub" and second.username.expression is None


def test_nothing_configured() -> None:
    assert read_configuration(document()) == Configuration((), None, None)


@pytest.mark.parametrize("given", [None, [], {}, {"kind": "AuthenticationConfiguration"}, document(apiVersion="v1")])
def test_another_document(given: object) -> None:
    assert "is not an AuthenticationConfiguration" in fault(given)


TWO = {"audiences": ["a", "b"]}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (entry(issuer={"url": ""}), "jwt[0].issuer.url: Required value"),
        (entry(issuer={"url": "http://x"}), 'jwt[0].issuer.url: Invalid value: "http://x": URL scheme must be https'),
        (entry(issuer={"url": "https://u:p@x"}), "URL must not contain a username or password"),
        (entry(issuer={"url": "https://x?q"}), "URL must not contain a query"),
        (entry(issuer={"url": "https://x#f"}), "URL must not contain a fragment"),
        (entry(issuer={"url": "https://ours"}), "URL must not overlap with disallowed issuers: [https://ours]"),
        (entry(issuer={"discoveryURL": ISSUER["url"] + "/"}), "discoveryURL must be different from URL"),
        (entry(issuer={"certificateAuthority": "x"}), "jwt[0].issuer.certificateAuthority: Invalid value"),
        (entry(issuer={"audiences": []}), "jwt[0].issuer.audiences: Required value"),
        (entry(issuer={"audiences": [""]}), "jwt[0].issuer.audiences[0]: Required value"),
        (entry(issuer={"audiences": ["a", "a"], "audienceMatchPolicy": "MatchAny"}), "audiences[1]: Duplicate value"),
        (entry(issuer=TWO), "audienceMatchPolicy must be MatchAny for multiple audiences"),
        (entry(issuer={"audienceMatchPolicy": "All"}), "audienceMatchPolicy must be empty or MatchAny"),
        (entry(issuer={"egressSelectorType": "cluster"}), "egressSelectorType: is not supported"),
        (entry({"username": {}}), "jwt[0].claimMappings.username: Required value: claim or expression is required"),
        (entry({"username": {"claim": "sub"}}), "jwt[0].claimMappings.username.prefix: Required value"),
        (entry({"username": {"claim": "a", "expression": "claims.a"}}), "claim and expression can't both be set"),
        (entry({"username": {"expression": "claims.a", "prefix": "x"}}), "may not be specified when expression is set"),
        (entry({"username": {"expression": "claims."}}), "username.expression: Invalid value"),
        (entry({"username": {"expression": "claims.email"}}), "claims.email_verified must be used"),
        (entry({"groups": {"claim": "a"}}), "jwt[0].claimMappings.groups.prefix: Required value"),
        (entry({"uid": {"claim": "a", "expression": "claims.a"}}), "jwt[0].claimMappings.uid: Invalid value"),
        (entry({"extra": [{"key": "foo", "valueExpression": "'a'"}]}), "extra[0].key: Invalid value"),
        (entry({"extra": [{"key": "a.io/B", "valueExpression": "'a'"}]}), "must be lowercase"),
        (entry({"extra": [{"key": "x.k8s.io/b", "valueExpression": "'a'"}]}), "reserved for Kubernetes use"),
        (
            entry({"extra": [{"key": "-a.io/b", "valueExpression": "'a'"}]}),
            'Invalid value: "-a.io": a lowercase RFC 1123',
        ),
        (
            entry({"extra": [{"key": "a.io/b c", "valueExpression": "'a'"}]}),
            'Invalid value: "b c": Invalid path (regex',
        ),
        (entry({"extra": [{"key": "", "valueExpression": "'a'"}]}), "extra[0].key: Required value"),
        (entry({"extra": [{"key": "a.io/b"}]}), "extra[0].valueExpression: Required value"),
        (entry({"extra": [{"key": "a.io/b", "valueExpression": "'a'"}] * 2}), "extra[1].key: Duplicate value"),
        (entry(claimValidationRules=[{}]), "claimValidationRules[0]: Required value: claim or expression is required"),
        (entry(claimValidationRules=[{"claim": "a"}] * 2), "claimValidationRules[1].claim: Duplicate value"),
        (entry(claimValidationRules=[{"claim": "a", "message": "m"}]), "may not be specified when claim is set"),
        (entry(claimValidationRules=[{"expression": "claims.a"}]), 'Invalid value: "claims.a": must evaluate to bool'),
        (entry(userValidationRules=[{}]), "userValidationRules[0].expression: Required value"),
        (entry(userValidationRules=[{"expression": "claims.a == ''"}]), "userValidationRules[0].expression"),
        (entry(claimValidationRule=[]), "claimValidationRule"),
        (entry({"username": "sub"}), "jwt[0].claimMappings.username: Invalid value"),
        (entry({"username": {"claim": 1}}), "username.claim: Invalid value"),
    ],
)
def test_what_is_refused(given: dict[str, Any], text: str) -> None:
    assert text in fault(document(given))


def test_all_faults_are_told() -> None:
    told = fault(document(entry(issuer={"url": ""}), entry({"username": {}})))
    assert "jwt[0].issuer.url" in told and "jwt[1].claimMappings.username" in told


def test_an_issuer_twice() -> None:
    assert 'jwt[1].issuer.url: Duplicate value: "https://idp.example.com"' in fault(document(entry(), entry()))


def test_too_many_issuers() -> None:
    assert "jwt: Too many: 65" in fault(document(*[entry()] * 65))


def test_conditions_need_that_it_is_enabled() -> None:
    told = fault(document(anonymous={"enabled": False, "conditions": [{"path": "/livez"}]}))
    assert "enabled should be set to true when conditions are defined" in told


def test_a_verified_address_may_be_a_name() -> None:
    rule = {"expression": "claims.email_verified"}
    given = entry({"username": {"expression": "claims.email"}}, claimValidationRules=[rule])
    assert "must evaluate to bool" in fault(document(given))
    rule["expression"] = "claims.email_verified == true"
    assert read_configuration(document(given)).issuers[0].username.expression is not None


def test_an_authority_is_taken() -> None:
    pem = Authority("idp").certificate
    found = read_configuration(document(entry(issuer={"certificateAuthority": pem.decode()})))
    assert found.issuers[0].authority == pem

from typing import Any

import pytest

from kcpfront.audit.policy import METADATA, NONE, REQUEST, Outcome, PolicyError, compile_policy
from kcpfront.request_info import parse_request
from kcpshard.api.requests import Identity

ALICE = Identity("alice", "", ("devs", "system:authenticated")).encode()


def policy_of(*rules: dict[str, Any], **members: Any) -> Any:
    return compile_policy({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **members})


def level(rule: dict[str, Any], target: str, method: str = "GET", identity: bytes = ALICE) -> int:
    outcome: Outcome = policy_of({"level": "Metadata", **rule}).decide(identity, parse_request(method, target, None))
    return outcome.level


SECRET = "/api/v1/namespaces/a/secrets/s"
LOG = "/api/v1/namespaces/a/pods/p/log"


@pytest.mark.parametrize(
    ("rule", "target", "fits"),
    [
        pytest.param({}, SECRET, True, id="an empty rule is about everything"),
        pytest.param({}, "/healthz", True, id="paths too"),
        pytest.param({"users": ["alice"]}, SECRET, True, id="user"),
        pytest.param({"users": ["bob"]}, SECRET, False, id="another user"),
        pytest.param({"userGroups": ["x", "devs"]}, SECRET, True, id="group"),
        pytest.param({"userGroups": ["x"]}, SECRET, False, id="another group"),
        pytest.param({"verbs": ["list", "get"]}, SECRET, True, id="verb"),
        pytest.param({"verbs": ["list"]}, SECRET, False, id="another verb"),
        pytest.param({"namespaces": ["a"]}, SECRET, True, id="namespace"),
        pytest.param({"namespaces": ["b"]}, SECRET, False, id="another namespace"),
        pytest.param({"namespaces": [""]}, "/api/v1/nodes/n", True, id="no namespace"),
        pytest.param({"namespaces": [""]}, "/healthz", False, id="a rule with namespaces is about resources"),
        pytest.param({"resources": [{"group": ""}]}, SECRET, True, id="a whole group"),
        pytest.param({"resources": [{"group": "apps"}]}, SECRET, False, id="another group of resources"),
        pytest.param({"resources": [{"resources": ["secrets"]}]}, SECRET, True, id="resource"),
        pytest.param({"resources": [{"resources": ["pods"]}]}, LOG, False, id="a resource is not its subresources"),
        pytest.param({"resources": [{"resources": ["pods/log"]}]}, LOG, True, id="subresource"),
        pytest.param({"resources": [{"resources": ["pods/*"]}]}, LOG, True, id="all subresources"),
        pytest.param({"resources": [{"resources": ["pods/*"]}]}, LOG[:-4], True, id="and the resource itself"),
        pytest.param({"resources": [{"resources": ["*/log"]}]}, LOG, True, id="a subresource of all"),
        pytest.param({"resources": [{"resources": ["*"]}]}, LOG, True, id="everything"),
        pytest.param({"resources": [{"resources": ["secrets"], "resourceNames": ["s"]}]}, SECRET, True, id="name"),
        pytest.param({"resources": [{"resources": ["secrets"], "resourceNames": ["t"]}]}, SECRET, False, id="not it"),
        pytest.param({"nonResourceURLs": ["/healthz"]}, "/healthz", True, id="path"),
        pytest.param({"nonResourceURLs": ["/api*"]}, "/api/v1", True, id="path by its beginning"),
        pytest.param({"nonResourceURLs": ["/api"]}, "/api/v1", False, id="path is not its beginning"),
        pytest.param({"nonResourceURLs": ["*"]}, SECRET, False, id="paths are no resources"),
    ],
)
def test_what_a_rule_is_about(rule: dict[str, Any], target: str, fits: bool) -> None:
    assert level(rule, target) == (METADATA if fits else NONE)


def test_the_first_rule_wins_for_each_name() -> None:
    found = policy_of(
        {"level": "None", "resources": [{"resources": ["secrets"], "resourceNames": ["quiet"]}]},
        {"level": "Request", "namespaces": ["a"]},
        {"level": "Metadata"},
    )
    levels = [
        found.decide(ALICE, parse_request("GET", path, None)).level
        for path in ("/api/v1/namespaces/a/secrets/quiet", SECRET, "/api/v1/namespaces/b/secrets/s")
    ]
    assert levels == [NONE, REQUEST, METADATA]


def test_strangers_have_neither_name_nor_groups() -> None:
    assert level({"users": ["alice"]}, SECRET, identity=b"") == NONE
    assert level({}, SECRET, identity=b"") == METADATA


def test_omitted_stages_add_up_and_the_rule_decides_about_managed_fields() -> None:
    found = policy_of(
        {"level": "Metadata", "omitStages": ["Panic"], "omitManagedFields": False},
        omitStages=["RequestReceived"],
        omitManagedFields=True,
    ).decide(ALICE, parse_request("GET", SECRET, None))
    assert found == Outcome(METADATA, frozenset({"Panic", "RequestReceived"}), False)


def test_what_was_prepared_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kcpfront.audit.policy._MAX_PREPARED", 3)
    found = policy_of({"level": "Metadata"})
    for number in range(10):
        found.decide(ALICE, parse_request("GET", f"/api/v1/namespaces/a/r{number}/x", None))
    assert len(found._prepared) <= 3


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "is no Policy"),
        ({"apiVersion": "audit.k8s.io/v1beta1", "kind": "Policy"}, "is no Policy"),
        ({"rules": []}, "no rules"),
        ({"rules": [{"level": "Everything"}]}, "rules[0].level"),
        ({"rules": [{"level": "None", "user": ["x"]}]}, "rules[0].user: unknown field"),
        ({"rules": [{"level": "None", "omitStages": ["Later"]}]}, "omitStages"),
        ({"rules": [{"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["x"]}]}, "both regular"),
        ({"rules": [{"level": "None", "nonResourceURLs": ["a"]}]}, "begin with"),
        ({"rules": [{"level": "None", "nonResourceURLs": ["/a*b"]}]}, "last character"),
        ({"rules": [{"level": "None", "resources": [{"group": "apps/v1"}]}]}, "resources[0].group"),
        ({"rules": [{"level": "None", "resources": [{"resourceNames": ["a"]}]}]}, "at least one resource"),
    ],
)
def test_policies_that_are_refused(document: Any, text: str) -> None:
    if isinstance(document, dict):
        document = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", **document}
    with pytest.raises(PolicyError, match=text.replace("[", r"\[")):
        compile_policy(document)

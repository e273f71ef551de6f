from typing import Any

import pytest

from kcpshard.api.requests import Identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.layer import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Layer
from kcpshard.authorization.policy import Grants, Policy

ALICE = Identity("alice", "", ("devs", "system:authenticated"))
READ = {"rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]}
ONE = {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"]}]}
PATHS = {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/version"]}]}


def binding(kind: str, role: str, subject: str, name: str) -> dict[str, Any]:
    return {"roleRef": {"kind": kind, "name": role}, "subjects": [{"kind": subject, "name": name}]}


@pytest.fixture
def policy() -> Policy:
    own, template = Layer(), Layer()
    own.put(CLUSTER_ROLES, "", "read", READ)
    own.put(ROLES, "n", "one", ONE)
    own.put(ROLE_BINDINGS, "n", "reads", binding("ClusterRole", "read", "Group", "devs"))
    own.put(ROLE_BINDINGS, "n", "one", binding("Role", "one", "User", "alice"))
    own.put(CLUSTER_ROLE_BINDINGS, "", "lost", binding("ClusterRole", "nowhere", "User", "bob"))
    template.put(CLUSTER_ROLES, "", "paths", PATHS)
    template.put(CLUSTER_ROLE_BINDINGS, "", "paths", binding("ClusterRole", "paths", "Group", "system:authenticated"))
    return Policy(own, template, lambda kind, place: place[1] == "removed")


def allowed(grants: Grants, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
    first = grants.decide(Attributes(verb, "", "", resource, "", namespace, name))
    assert grants.decide(Attributes(verb, "", "", resource, "", namespace, name)) == first
    return first.allowed


def test_a_role_binding_counts_in_its_namespace(policy: Policy) -> None:
    grants = policy.grants_of(ALICE)
    assert allowed(grants, "list", "pods", "n")
    assert not allowed(grants, "list", "pods", "m")
    assert not allowed(grants, "list", "pods")


def test_names(policy: Policy) -> None:
    grants = policy.grants_of(ALICE)
    assert allowed(grants, "get", "secrets", "n", "one")
    assert not allowed(grants, "get", "secrets", "n", "two")
    assert not allowed(grants, "get", "secrets", "n")


def test_a_missing_role_is_the_reason(policy: Policy) -> None:
    found = policy.grants_of(Identity("bob")).decide(Attributes("get", "", "", "pods"))
    assert found == (False, 'RBAC: clusterrole.rbac.authorization.k8s.io "nowhere" not found')


def test_the_reason_names_the_binding(policy: Policy) -> None:
    found = policy.grants_of(ALICE).decide(Attributes("get", "", "", "pods", "", "n"))
    assert found.reason == 'RBAC: allowed by RoleBinding "reads/n" of ClusterRole "read" to Group "devs"'


def test_who_is_named_nowhere_here_is_a_stranger(policy: Policy) -> None:
    wanted = Attributes("get", path="/version")
    stranger = Identity("carol", "", ("system:authenticated",))
    assert policy.grants_of(ALICE).decide(wanted).allowed
    assert not policy.grants_of(stranger).decide(wanted).allowed
    assert policy.grants_of(stranger._replace(scope=1)).decide(wanted).allowed, "an identity of this logical cluster"
    assert policy.grants_to(stranger).decide(wanted).allowed, "somebody asked about"


def test_an_own_object_hides_the_templates(policy: Policy) -> None:
    wanted = Attributes("get", path="/version")
    policy.own.put(CLUSTER_ROLES, "", "paths", {"rules": []})
    assert not policy.grants_of(ALICE).decide(wanted).allowed
    policy.own.put(CLUSTER_ROLES, "", "paths", None)
    policy.own.put(CLUSTER_ROLE_BINDINGS, "", "paths", binding("ClusterRole", "paths", "User", "carol"))
    assert not policy.grants_of(ALICE).decide(wanted).allowed


def test_masters_may_everything(policy: Policy) -> None:
    grants = policy.grants_of(Identity("root", "", ("system:masters",)))
    assert grants.is_master and allowed(grants, "delete", "anything")
    assert grants.decide(Attributes("get", path="/metrics")).allowed


def test_what_is_remembered_is_forgotten(policy: Policy) -> None:
    raw = ALICE.encode()
    grants = policy.remember(raw, ALICE)
    assert policy.remembered(raw) is grants
    policy.forget()
    assert policy.remembered(raw) is None


def test_all_rules(policy: Policy) -> None:
    rules, faults = policy.grants_of(ALICE).rules("n")
    assert len(rules) == 3 and not faults
    assert policy.grants_of(Identity("bob")).rules("")[1] == [
        'clusterrole.rbac.authorization.k8s.io "nowhere" not found'
    ]

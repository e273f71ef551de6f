"""What `kubectl auth` says and does, as an administrator and as somebody with few rights."""

import pytest

from tests.scenario.conftest import Kubectl

ROLES = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reconciled, namespace: default}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reconciled, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reconciled}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: dev}
"""


@pytest.fixture(scope="module")
def dev(kubectl: Kubectl) -> Kubectl:
    """The administrator as `dev`."""
    kubectl("create", "configmap", "seen", "--from-literal=a=b")
    return lambda *arguments, text="", code=0: kubectl("--as=dev", *arguments, text=text, code=code)


def refusal(dev: Kubectl) -> str:
    return dev("get", "--raw", "/api/v1/namespaces/default/configmaps", code=1).stderr


def test_a_stranger_is_refused_in_kubernetes_words(kubectl: Kubectl, dev: Kubectl) -> None:
    assert 'User "dev" cannot list resource "configmaps" in API group "" in the namespace "default"' in refusal(dev)


def test_rights_are_granted_shown_and_revoked(kubectl: Kubectl, dev: Kubectl) -> None:
    kubectl("create", "rolebinding", "dev", "--clusterrole=view", "--user=dev")
    assert "seen" in dev("get", "configmaps", "-o", "name").stdout
    assert dev("auth", "can-i", "list", "configmaps").stdout == "yes\n"
    assert dev("auth", "can-i", "delete", "configmaps", code=1).stdout == "no\n"
    listed = dev("auth", "can-i", "--list").stdout
    assert "configmaps" in listed and "[get list watch]" in listed
    who = dev("auth", "whoami").stdout
    assert "dev" in who and "system:authenticated" in who
    kubectl("delete", "rolebinding", "dev")
    assert "is forbidden" in refusal(dev)


def test_reconcile(kubectl: Kubectl, dev: Kubectl) -> None:
    first = kubectl("auth", "reconcile", "-f", "-", text=ROLES).stdout
    assert "role.rbac.authorization.k8s.io/reconciled reconciled" in first
    assert dev("auth", "can-i", "get", "secrets").stdout == "yes\n"
    kubectl("auth", "reconcile", "-f", "-", text=ROLES.replace("[get]", "[list]"))
    assert dev("auth", "can-i", "list", "secrets").stdout == "yes\n"
    assert dev("auth", "can-i", "get", "secrets").stdout == "yes\n", "rights are added, not taken"
    kubectl("auth", "reconcile", "--remove-extra-permissions", "-f", "-", text=ROLES.replace("[get]", "[list]"))
    assert dev("auth", "can-i", "get", "secrets", code=1).stdout == "no\n"


def test_bootstrap_roles_are_there(kubectl: Kubectl) -> None:
    names = kubectl("get", "clusterroles", "-o", "name").stdout
    assert "clusterrole.rbac.authorization.k8s.io/cluster-admin" in names and "system:discovery" in names
    kubectl("label", "clusterrole", "view", "team=a")
    assert "view" in kubectl("get", "clusterroles", "-l", "team=a", "-o", "name").stdout
    assert kubectl("auth", "can-i", "--list").stdout.count("[*]") >= 2

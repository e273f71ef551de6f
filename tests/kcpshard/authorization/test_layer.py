from typing import Any

from kcpshard.authorization.layer import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, Layer
from kcpshard.authorization.rules import Rule


def binding(*subjects: dict[str, str], kind: str = "ClusterRole") -> dict[str, Any]:
    return {"roleRef": {"kind": kind, "name": "r"}, "subjects": list(subjects)}


def test_bindings_are_found_by_whom_they_name() -> None:
    layer = Layer()
    layer.put(CLUSTER_ROLE_BINDINGS, "", "b", binding({"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}))
    assert list(layer.bound("", ("User", "u"))) == list(layer.bound("", ("Group", "g"))) == [("", "b")]
    assert not layer.bound("", ("User", "g"))
    assert not layer.bound("n", ("User", "u"))


def test_a_service_account_is_the_user_of_its_name_at_home_where_no_namespace_is_given() -> None:
    layer = Layer()
    account = {"kind": "ServiceAccount", "name": "s"}
    layer.put(ROLE_BINDINGS, "n", "b", binding(account, {**account, "namespace": "m"}))
    assert layer.bound("n", ("User", "system:serviceaccount:n:s"))
    assert layer.bound("n", ("User", "system:serviceaccount:m:s"))
    layer.put(CLUSTER_ROLE_BINDINGS, "", "b", binding(account))
    assert not layer.bindings["", "b"].subjects


def test_replacing_and_removing_leaves_nothing_behind() -> None:
    layer = Layer()
    user = {"kind": "User", "name": "u"}
    layer.put(CLUSTER_ROLE_BINDINGS, "", "b", binding(user))
    layer.put(CLUSTER_ROLE_BINDINGS, "", "c", binding(user))
    layer.put(CLUSTER_ROLE_BINDINGS, "", "b", binding({"kind": "User", "name": "v"}))
    assert layer.named == {("User", "u"): 1, ("User", "v"): 1}
    layer.put(CLUSTER_ROLE_BINDINGS, "", "b", None)
    layer.put(CLUSTER_ROLE_BINDINGS, "", "c", None)
    layer.put(CLUSTER_ROLE_BINDINGS, "", "c", None)
    assert not layer.named and not layer.bindings and not layer.bound("", ("User", "u"))


def test_roles() -> None:
    layer = Layer()
    layer.put(CLUSTER_ROLES, "", "r", {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]})
    assert layer.roles["", "r"] == (Rule(("get",), ("",), ("pods",)),)
    layer.put(CLUSTER_ROLES, "", "r", {"rules": None})
    assert layer.roles["", "r"] == ()
    layer.put(CLUSTER_ROLES, "", "r", None)
    assert not layer.has(CLUSTER_ROLES, ("", "r"))


def test_how_a_binding_is_described() -> None:
    layer = Layer()
    layer.put(ROLE_BINDINGS, "n", "b", binding({"kind": "ServiceAccount", "name": "s"}, kind="Role"))
    found = layer.bindings["n", "b"].describe(("User", "system:serviceaccount:n:s"))
    assert found == 'RoleBinding "b/n" of Role "r" to ServiceAccount "s/n"'

from tests.kcpshard.definitions.submission import create, resource, update

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = resource("roles", GROUP), resource("clusterroles", GROUP)
BINDINGS, CLUSTER_BINDINGS = resource("rolebindings", GROUP), resource("clusterrolebindings", GROUP)


def test_rules() -> None:
    urls = [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]
    assert create(CLUSTER_ROLES, rules=urls)[1] == []
    assert create(ROLES, rules=urls)[1] == ["rules[0].nonResourceURLs"]
    assert create(ROLES)[0]["rules"] is None


def test_binding_defaults_and_reference() -> None:
    reference = {"kind": "ClusterRole", "name": "view"}
    old, faults = create(BINDINGS, roleRef=reference, subjects=[{"kind": "User", "name": "u"}])
    assert faults == []
    assert old["roleRef"]["apiGroup"] == old["subjects"][0]["apiGroup"] == GROUP
    assert update(BINDINGS, old, roleRef={**old["roleRef"], "name": "edit"})[1] == ["roleRef"]
    assert create(CLUSTER_BINDINGS, roleRef={"kind": "Role", "name": "x"})[1] == ["roleRef.kind"]
    account = [{"kind": "ServiceAccount", "name": "s"}]
    assert create(CLUSTER_BINDINGS, roleRef=reference, subjects=account)[1] == ["subjects[0].namespace"]

from kcpshard.definitions.builtin import builtin_resources

FULL = {r.kind: r for r in builtin_resources("full")}


def test_a_policy_with_egress_rules_is_of_both_types() -> None:
    obj = {"metadata": {}, "spec": {"podSelector": {}, "egress": [{}]}}
    FULL["NetworkPolicy"].strategy.default(obj)
    assert obj["spec"]["policyTypes"] == ["Ingress", "Egress"]

import pytest

from kcpshard.definitions.builtin import builtin_resources

FULL = {r.kind: r for r in builtin_resources("full")}


def test_a_policy_with_egress_rules_is_of_both_types() -> None:
    obj = {"metadata": {}, "spec": {"podSelector": {}, "egress": [{}]}}
    FULL["NetworkPolicy"].strategy.default(obj)
    assert obj["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize(
    ("cidrs", "fault"),
    [
        (["10.0.0.0/24"], ""),
        (["10.0.0.0/24", "2001:db8::/64"], ""),
        ([], "at least one CIDR required"),
        (["10.0.0.0/24", "10.1.0.0/24"], "no more than one IP for each IP family"),
        (["10.0.0.1/24"], "bits set beyond the prefix length"),
        (["10.0.0.0"], "must be a valid CIDR value"),
        (["2001:db8:0::/64"], "canonical"),
    ],
)
def test_ranges_of_services(cidrs: list[str], fault: str) -> None:
    obj = {"metadata": {}, "spec": {"cidrs": cidrs}}
    found = FULL["ServiceCIDR"].strategy.validate_create(obj)
    assert [fault in f.detail for f in found] == ([True] if fault else [])


def test_a_range_may_get_a_second_family_and_nothing_else() -> None:
    old = {"metadata": {}, "spec": {"cidrs": ["10.0.0.0/24"]}}
    for cidrs, number in (
        (["10.0.0.0/24"], 0),
        (["10.0.0.0/24", "2001:db8::/64"], 0),
        (["10.1.0.0/24"], 1),
        ([], 1),
        (["10.0.0.0/24", "10.1.0.0/24"], 1),
    ):
        new = {"metadata": {}, "spec": {"cidrs": cidrs}}
        assert len(FULL["ServiceCIDR"].strategy.validate_update(new, old, "")) == number, cidrs


def test_an_address_belongs_to_somebody_for_good() -> None:
    strategy = FULL["IPAddress"].strategy
    old = {"metadata": {}, "spec": {"parentRef": {"resource": "services", "namespace": "a", "name": "b"}}}
    assert strategy.validate_create(old) == []
    assert [f.field for f in strategy.validate_create({"metadata": {}, "spec": {}})] == ["spec.parentRef"]
    bad = {"metadata": {}, "spec": {"parentRef": {"group": "A", "name": "a/b"}}}
    assert [f.field.rpartition(".")[2] for f in strategy.validate_create(bad)] == ["group", "resource", "name"]
    faults = [f.field.rpartition(".")[2] for f in strategy.validate_update(bad, old, "")]
    assert faults == ["parentRef", "group", "resource", "name"]

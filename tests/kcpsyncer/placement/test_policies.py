"""Policies as they are written, and which of them rules."""

from typing import Any

import pytest

from kcpsyncer.placement.model import Guarantee, Mode, Rebalance
from kcpsyncer.placement.policies import PlacementRules, PolicyFault, chosen, read_policy

WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"namespace": "demo", "name": "web", "labels": {"a": "b"}},
}


def policy(name: str = "p", namespace: str = "demo", **spec: Any) -> PlacementRules:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return read_policy({"metadata": metadata, "spec": spec})


def test_a_whole_policy() -> None:
    found = policy(
        mode="Whole",
        clusters={"selector": {"matchLabels": {"region": "east"}}, "names": ["a"], "excludedNames": ["b"]},
        preferences=[{"weight": 7, "clusterSelector": {"matchLabels": {"fast": "yes"}}}],
        tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        shares=[{"weight": 0, "minReplicas": 1, "maxReplicas": 2}],
        spreads=[{"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "ScheduleAnyway"}],
        maxClusters=3,
        failover={"guarantee": "AtMostOnce"},
        rebalance="Never",
        overrides=[{"patches": [{"op": "add", "path": "/spec/paused", "value": True}]}],
    )
    rules = found.policy
    assert found.name == "demo/p"
    assert (rules.mode, rules.guarantee, rules.rebalance) == (Mode.WHOLE, Guarantee.AT_MOST_ONCE, Rebalance.NEVER)
    assert rules.required.matches({"region": "east"})
    assert not rules.required.matches({})
    assert (rules.names, rules.excluded_names) == (frozenset("a"), frozenset("b"))
    assert rules.max_clusters == 3
    assert (rules.preferences[0].weight, rules.shares[0].weight, rules.shares[0].maximum) == (7, 0, 2)
    assert (rules.spreads[0].max_skew, rules.spreads[0].is_hard) == (2, False)
    assert len(found.overrides[0].operations) == 1


def test_an_empty_policy_restricts_nothing() -> None:
    found = policy()
    assert found.policy.mode is Mode.DIVIDE
    assert found.policy.required.matches({})
    assert found.rules[0].matches(WEB)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (
            {"clusters": {"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}},
            "spec.clusters.selector",
        ),
        ({"shares": [{"minReplicas": 3, "maxReplicas": 2}]}, "spec.shares[0].maxReplicas"),
        ({"tolerations": [{}]}, "spec.tolerations[0].operator"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "spec.tolerations[0].value"),
        ({"spreads": [{}]}, "spec.spreads[0].topologyKey"),
        ({"overrides": [{"patches": [{"op": "add"}]}]}, "spec.overrides[0].patches[0]"),
        ({"overrides": [{"patches": [{"op": "cut", "path": "/a"}]}]}, "spec.overrides[0].patches[0]"),
    ],
)
def test_what_a_schema_cannot_tell(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(PolicyFault) as fault:
        policy(**spec)
    assert fault.value.path == path


def test_the_most_precise_of_the_namespace_rules() -> None:
    everything = policy("everything", "")
    elsewhere = policy("elsewhere", "other", resourceSelectors=[{"name": "web"}])
    kind = policy("kind", resourceSelectors=[{"group": "apps", "kind": "Deployment"}])
    labels = policy("labels", resourceSelectors=[{"labelSelector": {"matchLabels": {"a": "b"}}}])
    name = policy("name", resourceSelectors=[{"kind": "Deployment", "name": "web"}])
    other = policy("other", resourceSelectors=[{"group": "batch"}, {"kind": "Job"}])
    assert chosen([everything, elsewhere, other], WEB) is everything
    assert chosen([everything, kind], WEB) is kind
    assert chosen([kind, labels], WEB) is labels
    assert chosen([labels, name, kind], WEB) is name
    assert chosen([other], WEB) is None

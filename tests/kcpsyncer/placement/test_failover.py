"""When lost copies may be replaced, and how many at a time."""

from kcpsyncer.placement.failover import LEASE_S, SKEW_S, Rate, fenced_at_s, held
from kcpsyncer.placement.model import ClusterState, Guarantee

LOST = ClusterState("west", is_lost=True, is_pull=True)
NOW = {"east": 2, "west": 3}
CLUSTERS = {"east": ClusterState("east", is_pull=True), "west": LOST}


def test_what_may_run_twice_is_replaced_at_once() -> None:
    assert held(Guarantee.AT_LEAST, NOW, CLUSTERS, {"west": 100.0}, 101.0).replicas == {}


def test_what_may_not_waits_for_the_fence() -> None:
    fence = fenced_at_s(100.0)
    assert fence == 100.0 + LEASE_S + SKEW_S
    waiting = held(Guarantee.AT_MOST_ONCE, NOW, CLUSTERS, {"west": 100.0}, fence - 1)
    assert (waiting.replicas, waiting.until_s) == ({"west": 3}, fence)
    assert "another 1 s" in waiting.reason
    assert held(Guarantee.AT_MOST_ONCE, NOW, CLUSTERS, {"west": 100.0}, fence).replicas == {}


def test_without_an_agent_of_its_own_it_waits_for_ever() -> None:
    clusters = {"west": ClusterState("west", is_lost=True)}
    waiting = held(Guarantee.AT_MOST_ONCE, NOW, clusters, {"west": 0.0}, 10_000.0)
    assert (waiting.replicas, waiting.until_s) == ({"west": 3}, None)
    assert "never replaces" in waiting.reason


def test_failover_has_a_rate() -> None:
    rate = Rate(rate_per_s=10, burst=3)
    assert [rate.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert 0 < rate.wait_s() <= 0.1
    assert rate.take(0.1)
    assert not rate.take(0.1)
    assert [rate.take(100.0) for _ in range(4)] == [True, True, True, False]

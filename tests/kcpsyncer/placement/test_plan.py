"""A plan is what the controllers would do, told before."""

import pytest

from kcpsyncer.placement.model import ClusterState, Guarantee, Policy, Workload
from kcpsyncer.placement.plan import Move, Placed, placed, plan, without

CLUSTERS = [ClusterState("east"), ClusterState("west")]
WEB = Placed(Workload("demo/web", 6), Policy(), "", {"east": 3, "west": 3})


def test_nothing_moves_where_all_is_well() -> None:
    assert plan([WEB], CLUSTERS) == ((), {})


def test_a_cluster_dies() -> None:
    found = plan([WEB], without(CLUSTERS, "west"))
    assert found.moves[0] == Move("demo/web", "east", 3, 6, "takes over from west")
    assert (found.moves[1].cluster, found.moves[1].after) == ("west", 0)
    assert "lost" in found.moves[1].reason
    with pytest.raises(KeyError):
        without(CLUSTERS, "north")


def test_scaling() -> None:
    more = Placed(Workload("demo/web", 8), Policy(), "", WEB.now)
    assert [(m.cluster, m.after, m.reason) for m in plan([more], CLUSTERS).moves] == [
        ("east", 4, "8 replicas are asked for, 6 are placed"),
        ("west", 4, "8 replicas are asked for, 6 are placed"),
    ]
    fewer = Placed(Workload("demo/web", 5), Policy(), "", WEB.now)
    assert [(m.cluster, m.after) for m in plan([fewer], CLUSTERS).moves] == [("west", 2)]


def test_what_one_takes_the_next_does_not_get() -> None:
    clusters = [ClusterState("east", free={"cpu": 4.0})]
    two = [Placed(Workload(name, 3, {"cpu": 1.0}), Policy(), "", {}) for name in ("a", "b")]
    found = plan(two, clusters)
    assert [(m.workload, m.after) for m in found.moves] == [("a", 3), ("b", 1)]
    assert list(found.missing) == ["b"]
    assert "2 replicas have no place" in found.missing["b"]


def test_what_may_run_once_only_is_not_replaced() -> None:
    once = Placed(WEB.workload, Policy(guarantee=Guarantee.AT_MOST_ONCE), "once", WEB.now)
    assert plan([once], without(CLUSTERS, "west")).moves == ()


def test_of_objects() -> None:
    root = {"kind": "Deployment", "metadata": {"namespace": "demo", "name": "web"}, "spec": {"replicas": 6}}
    leafs = [
        {"kind": "Deployment", "metadata": {"labels": {"kcp.dev/cluster": name}}, "spec": {"replicas": 3}}
        for name in ("east", "west")
    ]
    found = placed(root, leafs, ())
    assert (found.workload.key, found.workload.replicas, found.now) == ("deployment/demo/web", 6, WEB.now)

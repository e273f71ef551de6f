from typing import Any

from kcpsyncer.placement.explanation import State, cluster_of, way


def at(second: float) -> str:
    return f"2026-12-01T00:00:{second:09.6f}Z"


def obj(replicas: int, generation: int, observed: int, ready: int) -> dict[str, Any]:
    status = {"observedGeneration": observed, "readyReplicas": ready}
    return {
        "kind": "Deployment",
        "metadata": {"generation": generation, "labels": {"kcp.dev/cluster": "east"}},
        "spec": {"replicas": replicas},
        "status": status,
    }


ROOT = [
    State(at(9.5), "kcp", obj(6, 2, 2, 6)),
    State(at(8), "kcp", obj(6, 2, 2, 4)),
    State(at(5), "ann", obj(6, 2, 1, 4)),
    State(at(1), "ann", obj(4, 1, 1, 4)),
]
EAST = [
    State(at(9), "kcp", obj(4, 2, 2, 4)),
    State(at(7), "kcp", obj(4, 2, 2, 2)),
    State(at(5.25), "kcp", obj(4, 2, 1, 2)),
    State(at(1.5), "kcp", obj(2, 1, 1, 2)),
]
WEST = [State(at(2), "kcp", obj(2, 1, 1, 2))]  # nothing had to change there


def test_each_hop_has_its_time() -> None:
    found = way(ROOT, {"east": EAST, "west": WEST})
    assert [(hop.step, hop.cluster, hop.took_s) for hop in found.hops] == [
        ("changed", "", None),
        ("placed", "east", 0.25),
        ("synchronised", "east", 1.75),
        ("observed", "", 3.0),
        ("ready", "east", 2.0),
        ("ready", "", 4.5),
    ]
    assert found.hops[0].detail == "generation 2, by ann"
    assert found.waiting == ()


def test_what_has_not_happened_is_named() -> None:
    found = way(ROOT[2:], {"east": EAST[2:], "west": WEST})
    assert [hop.step for hop in found.hops] == ["changed", "placed"]
    assert found.waiting == (
        "east has not said that it has its part (generation 2 of the leaf)",
        "the status of the whole does not speak of this generation yet",
        "4 of 6 replicas are ready",
    )


def test_what_has_left_a_cluster() -> None:
    found = way(ROOT, {"north": [State(at(6), "kcp", None)], "south": [State(at(2), "kcp", None)]})
    assert [(hop.step, hop.cluster) for hop in found.hops if hop.cluster] == [("left", "north")]


def test_readiness_that_came_back_counts_from_then_on() -> None:
    broken = [State(at(20), "kcp", obj(6, 2, 2, 6)), State(at(15), "kcp", obj(6, 2, 2, 1)), *ROOT]
    assert way(broken, {}).hops[-1].time == at(20)


def test_whose_leaf_it_is() -> None:
    assert cluster_of(obj(1, 1, 1, 1)) == "east"

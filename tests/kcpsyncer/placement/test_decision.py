"""Placing: what goes where, what stays, and what people are told."""

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.selectors import NO_LABELS, parse_label_selector
from kcpsyncer.placement.decision import place
from kcpsyncer.placement.model import ClusterState, Mode, Policy, Preference, Rebalance, Share, Workload

EAST = ClusterState("us-east1", labels={"region": "east"})
WEST = ClusterState("us-west1", labels={"region": "west"})
WEB = Workload("root/apps/web", 15)


def test_a_workload_is_divided() -> None:
    found = place(WEB, Policy(), [WEST, EAST], {})
    assert (found.replicas, found.missing, found.message) == ({"us-east1": 8, "us-west1": 7}, 0, "")
    assert found.reasons == {"us-east1": "", "us-west1": ""}


def test_without_clusters_it_says_so() -> None:
    found = place(WEB, Policy(), [], {})
    assert (found.replicas, found.missing, found.message) == ({}, 15, "there is no cluster")
    refused = place(WEB, Policy(required=parse_label_selector("region=north")), [EAST], {})
    assert "15 replicas have no place" in refused.message
    assert "us-east1: its labels do not match region=north" in refused.message


def test_a_new_cluster_gets_its_part_unless_nothing_may_move() -> None:
    north = ClusterState("north")
    now = {"us-east1": 8, "us-west1": 7}
    assert place(WEB, Policy(), [EAST, WEST, north], now).replicas == {"north": 5, "us-east1": 5, "us-west1": 5}
    stays = Policy(rebalance=Rebalance.NEVER)
    assert place(WEB, stays, [EAST, WEST, north], now).replicas == now
    more = dataclasses.replace(WEB, replicas=20)
    assert place(more, stays, [EAST, WEST, north], now).replicas == {"north": 5, "us-east1": 8, "us-west1": 7}
    fewer = dataclasses.replace(WEB, replicas=10)
    assert sum(place(fewer, stays, [EAST, WEST], now).replicas.values()) == 10


def test_a_lost_cluster_is_replaced_and_a_silent_one_keeps_what_it_has() -> None:
    now = {"us-east1": 8, "us-west1": 7}
    lost = dataclasses.replace(WEST, is_lost=True)
    assert place(WEB, Policy(), [EAST, lost], now).replicas == {"us-east1": 15}
    silent = dataclasses.replace(WEST, is_suspect=True)
    assert place(WEB, Policy(), [EAST, silent], now).replicas == now


def test_copies_that_may_still_run_count_as_placed() -> None:
    lost = dataclasses.replace(WEST, is_lost=True)
    found = place(WEB, Policy(), [EAST, lost], {"us-east1": 8, "us-west1": 7}, held={"us-west1": 7})
    assert found.replicas == {"us-east1": 8, "us-west1": 7}
    assert "may still run" in found.reasons["us-west1"]
    silent = dataclasses.replace(WEST, is_suspect=True)
    assert place(WEB, Policy(), [EAST, silent], {"us-west1": 7}, held={"us-west1": 7}).replicas == found.replicas


def test_nothing_is_deleted_where_nothing_else_fits() -> None:
    small = dataclasses.replace(EAST, free={"cpu": 2.0})
    web = Workload("web", 6, request={"cpu": 1.0})
    draining = dataclasses.replace(WEST, is_draining=True)
    found = place(web, Policy(), [small, draining], {"us-west1": 6})
    assert found.replicas == {"us-east1": 2, "us-west1": 4}
    assert found.missing == 0
    assert "nowhere else is room" in found.reasons["us-west1"]
    revoked = dataclasses.replace(WEST, may_be_used=False)
    gone = place(web, Policy(), [small, revoked], {"us-west1": 6})
    assert (gone.replicas, gone.missing) == ({"us-east1": 2}, 4)


def test_one_cluster_for_all_of_it() -> None:
    whole = Policy(mode=Mode.WHOLE, preferences=(Preference(parse_label_selector("region=west"), 10),))
    assert place(WEB, whole, [EAST, WEST], {}).replicas == {"us-west1": 15}
    assert place(WEB, whole, [EAST, WEST], {"us-east1": 15}).replicas == {"us-east1": 15}
    web = Workload("web", 15, request={"cpu": 1.0})
    small = dataclasses.replace(WEST, free={"cpu": 3.0})
    found = place(web, whole, [EAST, small], {})
    assert found.replicas == {"us-east1": 15}
    assert found.reasons["us-west1"] == "all of it does not fit"
    assert place(web, whole, [dataclasses.replace(EAST, is_lost=True)], {"us-east1": 15}).missing == 15
    held = place(web, whole, [EAST, dataclasses.replace(WEST, is_lost=True)], {"us-west1": 15}, {"us-west1": 15})
    assert held.replicas == {"us-west1": 15}


def test_what_has_no_replicas_goes_everywhere() -> None:
    config = Workload("config", 1, can_divide=False)
    assert place(config, Policy(), [EAST, WEST], {}).replicas == {"us-east1": 1, "us-west1": 1}
    one = place(config, Policy(max_clusters=1), [EAST, WEST], {"us-west1": 1})
    assert one.replicas == {"us-west1": 1}
    assert one.reasons["us-east1"] == "the policy allows no more clusters"


def test_ties_do_not_all_fall_on_the_same_cluster() -> None:
    whole = Policy(mode=Mode.WHOLE)
    clusters = [ClusterState(f"c{n}") for n in range(4)]
    chosen = {next(iter(place(Workload(f"w{n}", 1), whole, clusters, {}).replicas)) for n in range(40)}
    assert len(chosen) == 4


def test_minimum_and_maximum_of_each() -> None:
    shares = (Share(parse_label_selector("region=west"), weight=9, maximum=3), Share(NO_LABELS, minimum=1))
    assert place(WEB, Policy(shares=shares), [EAST, WEST], {}).replicas == {"us-east1": 12, "us-west1": 3}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Workload, list[ClusterState], dict[str, int]]:
    clusters, now = [], {}
    for number in range(draw(st.integers(0, 5))):
        flags = draw(st.sampled_from(["", "is_lost", "is_suspect", "is_cordoned", "is_draining"]))
        free = {"cpu": float(draw(st.integers(0, 12)))} if draw(st.booleans()) else {}
        cluster = ClusterState(f"c{number}", free=free)
        more: dict[str, Any] = {flags: True} if flags else {}
        clusters.append(dataclasses.replace(cluster, **more))
        if draw(st.booleans()):
            now[f"c{number}"] = draw(st.integers(0, 8))
    return Workload("w", draw(st.integers(0, 25)), {"cpu": 1.0}), clusters, now


@given(worlds(), st.sampled_from(list(Rebalance)))
def test_what_every_division_keeps_to(
    world: tuple[Workload, list[ClusterState], dict[str, int]], rebalance: Rebalance
) -> None:
    workload, clusters, now = world
    found = place(workload, Policy(rebalance=rebalance), clusters, now)
    by_name = {cluster.name: cluster for cluster in clusters}
    assert sum(found.replicas.values()) + found.missing == workload.replicas
    for name, count in found.replicas.items():
        cluster, had = by_name[name], now.get(name, 0)
        assert not cluster.is_lost
        if cluster.is_suspect or cluster.is_cordoned or cluster.is_draining:
            assert count <= had
        elif cluster.free:
            assert count <= had + int(cluster.free["cpu"])
    # Nobody who runs something has to go without it while something is missing.
    if found.missing:
        assert all(found.replicas.get(name, 0) >= had for name, had in now.items() if not by_name[name].is_lost and had)
    again = place(workload, Policy(rebalance=rebalance), clusters[::-1], now)
    assert again == found

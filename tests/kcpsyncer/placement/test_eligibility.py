"""Every reason why a cluster is not used, told."""

import dataclasses
from typing import Any

import pytest

from kcpshard.api.selectors import parse_label_selector
from kcpsyncer.placement.eligibility import judge, judge_all
from kcpsyncer.placement.model import (
    NO_EXECUTE,
    NO_SCHEDULE,
    PREFER_NO_SCHEDULE,
    ClusterState,
    Policy,
    Preference,
    Taint,
    Toleration,
    Workload,
)

EAST = ClusterState("east", labels={"region": "east"}, free={"cpu": 4.0})
WEB = Workload("web", 3, request={"cpu": 0.5})


@pytest.mark.parametrize(
    ("change", "policy", "may_keep", "may_grow", "reason"),
    [
        ({}, Policy(), True, True, ""),
        ({"may_be_used": False}, Policy(), False, False, "right"),
        ({"serves": False}, Policy(), False, False, "API"),
        ({"is_draining": True}, Policy(), False, False, "drained"),
        ({"is_lost": True}, Policy(), False, False, "lost"),
        ({"is_cordoned": True}, Policy(), True, False, "cordoned"),
        ({"is_suspect": True}, Policy(), True, False, "silent"),
        ({"free": {"cpu": 0.4}}, Policy(), True, False, "cpu"),
        ({"free": {"memory": 0.0}}, Policy(), True, True, ""),
        ({"taints": (Taint("a", "", NO_EXECUTE),)}, Policy(), False, False, "taint a:NoExecute"),
        ({"taints": (Taint("a", "b", NO_SCHEDULE),)}, Policy(), True, False, "taint a=b:NoSchedule"),
        ({"taints": (Taint("a", "b", PREFER_NO_SCHEDULE),)}, Policy(), True, True, ""),
        ({"taints": (Taint("a"),)}, Policy(tolerations=(Toleration("a", "Exists"),)), True, True, ""),
        ({}, Policy(required=parse_label_selector("region=west")), False, False, "region=west"),
        ({}, Policy(names=frozenset({"west"})), False, False, "does not name"),
        ({}, Policy(excluded_names=frozenset({"east"})), False, False, "excludes"),
    ],
)
def test_what_a_cluster_is_good_for(
    change: dict[str, Any], policy: Policy, may_keep: bool, may_grow: bool, reason: str
) -> None:
    verdict = judge(dataclasses.replace(EAST, **change), policy, WEB)
    assert (verdict.may_keep, verdict.may_grow) == (may_keep, may_grow)
    assert reason in verdict.reason
    assert bool(verdict.reason) is bool(reason)


def test_room_is_what_the_scarcest_resource_allows() -> None:
    web = Workload("web", 3, request={"cpu": 0.5, "memory": 100.0, "gpu": 0.0})
    assert judge(dataclasses.replace(EAST, free={"cpu": 4.0, "memory": 250.0, "gpu": 0.0}), Policy(), web).room == 2


def test_clusters_are_liked_by_their_labels_and_less_for_their_taints() -> None:
    policy = Policy(preferences=(Preference(parse_label_selector("region=east"), 30),))
    tainted = dataclasses.replace(EAST, name="old", taints=(Taint("old", "", PREFER_NO_SCHEDULE),))
    found = judge_all([tainted, EAST, ClusterState("west")], policy, WEB)
    assert {name: verdict.score for name, verdict in found.items()} == {"east": 30, "old": -70, "west": 0}
    assert list(found) == ["east", "old", "west"]

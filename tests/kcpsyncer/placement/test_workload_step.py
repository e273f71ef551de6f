"""Steps of one workload, run against a world that does what it is told."""

import dataclasses
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import pytest

from kcpsyncer.placement.failover import Hold
from kcpsyncer.placement.leafs import CLUSTER_LABEL
from kcpsyncer.placement.model import ClusterState
from kcpsyncer.placement.policies import PlacementRules, read_policy
from kcpsyncer.placement.workload_step import PLACED, Step, View, step

NOW = "2026-11-30T12:00:00Z"
EAST, WEST = ClusterState("us-east1"), ClusterState("us-west1")


class World:
    """A logical cluster with one root, and physical clusters that start what they are given at once."""

    def __init__(self, replicas: int = 15, clusters: Iterable[ClusterState] = (EAST, WEST), **more: Any) -> None:
        self.root: dict[str, Any] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "demo", "uid": "u", "generation": 1},
            "spec": {"replicas": replicas, "template": {"x": 1}},
            **more,
        }
        self.clusters = {cluster.name: cluster for cluster in clusters}
        self.leafs: dict[str, dict[str, Any]] = {}
        self.rules: PlacementRules | None = None
        self.hold = Hold({}, None)
        self.may_fail_over = True
        self.notes: list[str] = []
        self.least_ready = 10**6

    def change(self, name: str, **flags: Any) -> None:
        self.clusters[name] = dataclasses.replace(self.clusters[name], **flags)

    def step(self) -> Step:
        view = View(
            self.root, list(self.leafs.values()), self.clusters, self.rules, NOW, {}, self.hold, self.may_fail_over
        )
        found = step(view)
        for leaf in found.deleted:
            del self.leafs[leaf["metadata"]["labels"][CLUSTER_LABEL]]
        for leaf in found.applied:
            name = leaf["metadata"]["labels"][CLUSTER_LABEL]
            old = self.leafs.get(name, {})
            self.leafs[name] = {**deepcopy(leaf), "status": old.get("status", {})}
            self.leafs[name]["metadata"]["generation"] = old.get("metadata", {}).get("generation", 0) + 1
        if found.status is not None:
            self.root["status"] = found.status
        self.notes += [note.reason for note in found.notes]
        return found

    def run_pods(self) -> None:
        for name, leaf in self.leafs.items():
            if not self.clusters[name].is_lost:
                count = leaf["spec"]["replicas"]
                leaf["status"] = {
                    "replicas": count, "readyReplicas": count, "observedGeneration": leaf["metadata"]["generation"],
                    "conditions": [{"type": "Available", "status": "True"}],
                }  # fmt: skip

    def settle(self) -> None:
        for _ in range(10):
            self.step()
            self.run_pods()
            ready = sum(self.given(reachable=True).values())
            self.least_ready = min(self.least_ready, ready)
        assert self.step() == Step((), (), None, ())

    def given(self, reachable: bool = False) -> Mapping[str, int]:
        return {
            name: leaf["spec"]["replicas"]
            for name, leaf in sorted(self.leafs.items())
            if not (reachable and self.clusters[name].is_lost)
        }

    def placed(self) -> tuple[str, str]:
        found = next(c for c in self.root["status"]["conditions"] if c["type"] == PLACED)
        return found["status"], found["reason"]


def test_a_root_is_divided_and_its_status_is_that_of_its_leafs() -> None:
    world = World()
    world.settle()
    assert world.given() == {"us-east1": 8, "us-west1": 7}
    assert world.leafs["us-east1"]["metadata"]["name"] == "web--us-east1"
    status = world.root["status"]
    assert (status["replicas"], status["readyReplicas"], status["observedGeneration"]) == (15, 15, 1)
    assert {c["type"]: c["status"] for c in status["conditions"]} == {"Available": "True", PLACED: "True"}
    assert world.notes == ["Divided"]


def test_scaling_and_a_new_template_reach_every_leaf() -> None:
    world = World()
    world.settle()
    world.root["spec"] = {"replicas": 20, "template": {"y": 2}}
    world.settle()
    assert world.given() == {"us-east1": 10, "us-west1": 10}
    assert world.leafs["us-west1"]["spec"]["template"] == {"y": 2}
    world.root["spec"]["replicas"] = 0
    world.settle()
    assert sum(world.given().values()) == 0


def test_drift_is_repaired() -> None:
    world = World()
    world.settle()
    world.leafs["us-east1"]["spec"]["replicas"] = 3
    world.leafs["us-west1"]["spec"]["template"]["x"] = 9
    world.settle()
    assert world.given() == {"us-east1": 8, "us-west1": 7}
    assert world.leafs["us-west1"]["spec"]["template"]["x"] == 1


def test_a_lost_cluster_is_replaced_and_keeps_nothing_when_it_returns() -> None:
    world = World()
    world.settle()
    world.change("us-west1", is_lost=True)
    world.settle()
    assert world.given() == {"us-east1": 15}
    assert "FailedOver" in world.notes
    world.change("us-west1", is_lost=False)
    world.settle()
    assert world.given() == {"us-east1": 8, "us-west1": 7}


def test_a_rate_that_is_used_up_delays_failover() -> None:
    world = World()
    world.settle()
    world.change("us-west1", is_lost=True)
    world.may_fail_over = False
    assert world.step().waits_for_rate
    assert world.given() == {"us-east1": 8, "us-west1": 7}
    world.may_fail_over = True
    world.settle()
    assert world.given() == {"us-east1": 15}


def test_copies_that_may_run_once_wait_for_the_fence() -> None:
    world = World()
    world.rules = read_policy({"metadata": {"name": "p"}, "spec": {"failover": {"guarantee": "AtMostOnce"}}})
    world.settle()
    world.change("us-west1", is_lost=True)
    world.hold = Hold({"us-west1": 7}, 20.0, "the copies in us-west1 may run for another 9 s")
    world.settle()
    assert world.given() == {"us-east1": 8, "us-west1": 7}
    assert world.placed() == ("False", "WaitingForFence")
    world.hold = Hold({}, None)
    for _ in range(3):
        world.step()
        world.run_pods()
    # What cannot be seen to have gone is gone: the fence has passed.
    assert world.given()["us-east1"] == 15


def test_a_drain_has_no_gap() -> None:
    world = World()
    world.settle()
    world.least_ready = 10**6
    world.change("us-west1", is_draining=True)
    world.settle()
    assert world.given() == {"us-east1": 15}
    assert world.least_ready >= 15


def test_where_nothing_else_fits_nothing_goes() -> None:
    world = World(clusters=[EAST])
    world.settle()
    world.change("us-east1", is_draining=True)
    world.settle()
    assert world.given() == {"us-east1": 15}


def test_without_clusters_it_says_so_and_waits() -> None:
    world = World(clusters=[])
    world.settle()
    assert world.placed() == ("False", "NoRegisteredClusters")
    assert world.notes == ["NoRegisteredClusters"]
    world.clusters["us-east1"] = EAST
    world.settle()
    assert world.placed() == ("True", "Placed")


def test_a_bad_override_stops_only_its_cluster() -> None:
    world = World(clusters=[dataclasses.replace(EAST, labels={"bad": "yes"}), WEST])
    patch = {"op": "remove", "path": "/spec/nothing"}
    override = {"clusterSelector": {"matchLabels": {"bad": "yes"}}, "patches": [patch]}
    world.rules = read_policy({"metadata": {"name": "p"}, "spec": {"overrides": [override]}})
    world.settle()
    assert world.given() == {"us-west1": 7}
    assert world.placed() == ("False", "OverrideFailed")


def test_what_has_no_replicas_goes_everywhere() -> None:
    world = World(kind="ConfigMap", apiVersion="v1")
    del world.root["spec"]
    world.step()
    assert sorted(world.leafs) == ["us-east1", "us-west1"]


@pytest.mark.parametrize("mode", ["Divide", "Whole"])
def test_what_may_run_once_only_stops_before_it_starts_elsewhere(mode: str) -> None:
    """Its leaf is kept, with nothing to run, until the cluster has said that nothing runs."""
    world = World(1)
    spec = {"mode": mode, "failover": {"guarantee": "AtMostOnce"}}
    world.rules = read_policy({"metadata": {"name": "p"}, "spec": spec})
    world.settle()
    (first,) = world.given()
    (other,) = {"us-east1", "us-west1"} - {first}
    world.change(first, is_draining=True)
    for _ in range(3):  # the cluster says nothing yet
        world.step()
        assert {name: leaf["spec"]["replicas"] for name, leaf in world.leafs.items()} == {first: 0}
    world.leafs[first]["status"] = {"replicas": 1, "observedGeneration": world.leafs[first]["metadata"]["generation"]}
    world.step()
    assert set(world.leafs) == {first}  # it knows, but a pod runs still
    world.leafs[first]["status"]["replicas"] = 0
    world.step()
    world.step()
    assert world.given() == {other: 1}


def test_status_that_is_behind_counts_for_nothing() -> None:
    """Scaled down before it was seen to have started: it may yet start."""
    world = World(1)
    world.rules = read_policy({"metadata": {"name": "p"}, "spec": {"failover": {"guarantee": "AtMostOnce"}}})
    world.step()
    (first,) = world.given()
    world.change(first, is_draining=True)
    world.step()
    world.step()
    assert set(world.leafs) == {first}

"""What would move where, and why, if something changed: the same decisions as the controllers', of a world that is not.

Pure: nothing is written. A change is another world (a policy edited, a workload scaled, a cluster gone); `compare` says
what the two divisions have in common and what not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from kcpsyncer.placement.decision import Decision, place
from kcpsyncer.placement.leafs import CLUSTER_LABEL, can_divide, replicas_of
from kcpsyncer.placement.model import ClusterState, Guarantee, Policy, Workload
from kcpsyncer.placement.pod_requests import request_of
from kcpsyncer.placement.policies import PlacementRules, chosen


@dataclass(frozen=True, slots=True)
class Placed:
    """A workload with the policy that rules it and where it is now."""

    workload: Workload
    policy: Policy
    policy_name: str
    now: Mapping[str, int]


class Move(NamedTuple):
    """`before` and `after`: replicas in `cluster`, at least one of them not 0 and both different."""

    workload: str
    cluster: str
    before: int
    after: int
    reason: str


class Plan(NamedTuple):
    """`missing`: workloads with replicas that would have no place, with the sentence why."""

    moves: tuple[Move, ...]
    missing: Mapping[str, str]


def placed(root: Mapping[str, Any], leafs: Iterable[Mapping[str, Any]], rules: Iterable[PlacementRules]) -> Placed:
    """A root with its leafs, under the policies that there are. Its key is kind/namespace/name."""
    metadata = root["metadata"]
    ruling = chosen(rules, root)
    key = "/".join((root["kind"].lower(), metadata.get("namespace") or "", metadata["name"]))
    workload = Workload(key, replicas_of(root), request_of(root), can_divide(root))
    now = {leaf["metadata"]["labels"][CLUSTER_LABEL]: replicas_of(leaf) for leaf in leafs}
    return Placed(workload, ruling.policy if ruling else Policy(), ruling.name if ruling else "", now)


def decide(placed: Placed, clusters: Sequence[ClusterState]) -> Decision:
    """AtMostOnce: where nobody can tell that lost copies have stopped, they are held for ever."""
    held: dict[str, int] = {}
    if placed.policy.guarantee is Guarantee.AT_MOST_ONCE:
        silent = {each.name for each in clusters if (each.is_lost or each.is_suspect) and not each.is_pull}
        held = {name: count for name, count in placed.now.items() if name in silent and count}
    return place(placed.workload, placed.policy, clusters, placed.now, held)


def plan(workloads: Iterable[Placed], clusters: Sequence[ClusterState]) -> Plan:
    """Against where everything is now. What one workload takes is not there for the next one."""
    free = {cluster.name: dict(cluster.free) for cluster in clusters}
    moves: list[Move] = []
    missing: dict[str, str] = {}
    for placed in workloads:
        decision = decide(placed, [replace(cluster, free=free[cluster.name]) for cluster in clusters])
        moves += _moves(placed, decision)
        if decision.missing:
            missing[placed.workload.key] = decision.message
        _take(placed, decision, free)
    return Plan(tuple(moves), missing)


def without(clusters: Iterable[ClusterState], name: str) -> list[ClusterState]:
    """As if that cluster had died. Raises KeyError if there is none of that name."""
    found = list(clusters)
    if all(cluster.name != name for cluster in found):
        raise KeyError(name)
    return [replace(cluster, is_lost=True) if cluster.name == name else cluster for cluster in found]


def _moves(placed: Placed, decision: Decision) -> Iterable[Move]:
    for cluster in sorted({*placed.now, *decision.replicas}):
        before, after = placed.now.get(cluster, 0), decision.replicas.get(cluster, 0)
        if before != after:
            reason = decision.reasons.get(cluster) or _why(placed, decision, after > before)
            yield Move(placed.workload.key, cluster, before, after, reason)


def _why(placed: Placed, decision: Decision, grows: bool) -> str:
    asked, had = placed.workload.replicas, sum(placed.now.values())
    if asked > had and grows:
        return f"{asked} replicas are asked for, {had} are placed"
    if asked < had and not grows:
        return f"only {asked} replicas are asked for, {had} are placed"
    gone = [name for name, count in placed.now.items() if count and not decision.replicas.get(name)]
    if grows and gone:
        return f"takes over from {', '.join(sorted(gone))}"
    return f"its share by the policy {placed.policy_name or 'that is the default'}"


def _take(placed: Placed, decision: Decision, free: Mapping[str, dict[str, float]]) -> None:
    for cluster, count in decision.replicas.items():
        more = count - placed.now.get(cluster, 0)
        for name, amount in placed.workload.request.items():
            if name in free.get(cluster, {}):
                free[cluster][name] = max(0.0, free[cluster][name] - more * amount)

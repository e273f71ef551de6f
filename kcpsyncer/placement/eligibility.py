"""Which clusters may run a workload, and of every other one why not. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from kcpsyncer.placement.model import (
    NO_EXECUTE,
    NO_SCHEDULE,
    PREFER_NO_SCHEDULE,
    ClusterState,
    Policy,
    Taint,
    Toleration,
    Workload,
)

_MOST = 1_000_000_000  # replicas of a workload that asks for nothing


class Verdict(NamedTuple):
    """What a cluster is good for. `may_keep`: what runs there may stay; `may_grow`: it may get more.

    `room`: how many further replicas fit. `score`: how much it is liked. `reason` is for people, empty if it may grow.
    """

    cluster: ClusterState
    may_keep: bool
    may_grow: bool
    room: int
    score: int
    reason: str = ""


def judge(cluster: ClusterState, policy: Policy, workload: Workload) -> Verdict:
    score = _score(cluster, policy)
    room = _room(cluster, workload)
    if reason := _unfit(cluster, policy):
        return Verdict(cluster, False, False, 0, score, reason)
    if reason := _full(cluster, policy):
        return Verdict(cluster, True, False, 0, score, reason)
    short = "" if room else f"no room for another replica ({_shortest(cluster, workload)} is used up)"
    return Verdict(cluster, True, room > 0, room, score, short)


def judge_all(clusters: Iterable[ClusterState], policy: Policy, workload: Workload) -> dict[str, Verdict]:
    """By name, in the order of names."""
    return {c.name: judge(c, policy, workload) for c in sorted(clusters, key=lambda cluster: cluster.name)}


def _unfit(cluster: ClusterState, policy: Policy) -> str:
    """Why nothing of it may be there, not even what is."""
    if not cluster.may_be_used:
        return "this logical cluster has no right to use it"
    if not cluster.serves:
        return "it does not serve the API, or only an incompatible version"
    if policy.names is not None and cluster.name not in policy.names:
        return "the policy does not name it"
    if cluster.name in policy.excluded_names:
        return "the policy excludes it"
    if not policy.required.matches(cluster.labels):
        return f"its labels do not match {policy.required}"
    if cluster.is_draining:
        return "it is being drained"
    if cluster.is_lost:
        return "it is lost: nothing has been heard of it for too long"
    if taint := _untolerated(cluster, policy.tolerations, NO_EXECUTE):
        return f"its taint {_written(taint)} is not tolerated"
    return ""


def _full(cluster: ClusterState, policy: Policy) -> str:
    """Why it gets no more, though it may keep what it has."""
    if cluster.is_cordoned:
        return "it is cordoned"
    if cluster.is_suspect:
        return "it is silent at the moment"
    if taint := _untolerated(cluster, policy.tolerations, NO_SCHEDULE):
        return f"its taint {_written(taint)} is not tolerated"
    return ""


def _untolerated(cluster: ClusterState, tolerations: tuple[Toleration, ...], effect: str) -> Taint | None:
    for taint in cluster.taints:
        if taint.effect == effect and not any(toleration.tolerates(taint) for toleration in tolerations):
            return taint
    return None


def _written(taint: Taint) -> str:
    return f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"


def _score(cluster: ClusterState, policy: Policy) -> int:
    liked = sum(each.weight for each in policy.preferences if each.selector.matches(cluster.labels))
    return liked - (100 if _untolerated(cluster, policy.tolerations, PREFER_NO_SCHEDULE) else 0)


def _room(cluster: ClusterState, workload: Workload) -> int:
    rooms = [
        max(0, int(cluster.free[name] / amount)) for name, amount in workload.request.items()
        if amount > 0 and name in cluster.free
    ]  # fmt: skip
    return min(rooms, default=_MOST)


def _shortest(cluster: ClusterState, workload: Workload) -> str:
    known = (name for name, amount in workload.request.items() if amount > 0 and name in cluster.free)
    return min(known, key=lambda name: cluster.free[name] / workload.request[name], default="capacity")

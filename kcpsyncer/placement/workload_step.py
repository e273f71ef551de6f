"""One step for one workload: from what is there to what should be written now. Pure; level-triggered, so that any step
may be repeated, lost or interrupted.

What a cluster was given last is what its leaf says; nothing else is remembered. `again_s` asks for another step after a
time even if nothing changes; every change of the root, of a leaf, of a policy or of a cluster is a reason for one too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any, NamedTuple

import orjson

from kcpsyncer.conditions import Condition, with_conditions
from kcpsyncer.placement.decision import Decision, place
from kcpsyncer.placement.failover import NOTHING_HELD, Hold
from kcpsyncer.placement.leafs import (
    CLUSTER_LABEL,
    Object,
    Part,
    can_divide,
    leaf_of,
    parts_of,
    replicas_of,
)
from kcpsyncer.placement.model import ClusterState, Guarantee, Mode, Policy, Workload
from kcpsyncer.placement.overrides import OverrideFault, overridden
from kcpsyncer.placement.policies import PlacementRules
from kcpsyncer.placement.status_aggregation import aggregated, is_up_to_date
from kcpsyncer.placement.transition import Observed, next_step

Raw = Mapping[str, Any]

PLACED = "Placed"  # condition of a root: every replica has its place
FINGERPRINT = "placement.kcp.dev/fingerprint"  # of what a leaf was last given: tells of fields that went away


@dataclass(frozen=True, slots=True)
class View:
    """All that one step looks at. `leafs`: those that belong to the root; `request`: of one replica, in base units;
    `hold`: lost copies that are not to be replaced yet; `may_fail_over`: the rate allows it now; `now`: RFC 3339."""

    root: Raw
    leafs: Sequence[Raw]
    clusters: Mapping[str, ClusterState]
    rules: PlacementRules | None
    now: str
    request: Mapping[str, float]
    hold: Hold = NOTHING_HELD
    may_fail_over: bool = True


class Note(NamedTuple):
    """An Event for the root: `kind` Normal or Warning."""

    kind: str
    reason: str
    message: str


class Step(NamedTuple):
    """`applied`: leafs by server-side apply; `deleted`: leafs, with their UIDs as preconditions; `status`: of the root,
    None if it is right; `waits_for_rate`: it would fail over if it might."""

    applied: tuple[Object, ...]
    deleted: tuple[Raw, ...]
    status: Object | None
    notes: tuple[Note, ...]
    waits_for_rate: bool = False


def step(view: View) -> Step:
    parts = {leaf["metadata"]["labels"][CLUSTER_LABEL]: leaf for leaf in view.leafs}
    given = {cluster: _given(leaf) for cluster, leaf in parts.items()}
    policy = view.rules.policy if view.rules is not None else Policy()
    if not view.may_fail_over:
        policy_hold = {name: count for name, count in given.items() if _is_lost(view, name) and count}
    else:
        policy_hold = {}
    held = {**policy_hold, **{name: count for name, count in view.hold.replicas.items() if name in given}}
    decision = place(_workload(view), policy, view.clusters.values(), given, held)
    stopping: set[str] = set()
    if policy.mode is not Mode.DUPLICATE and can_divide(view.root):
        observed = {name: _observed(view, leaf, policy.guarantee) for name, leaf in parts.items()}
        wanted = next_step(decision.replicas, observed, policy.guarantee)
        if policy.guarantee is Guarantee.AT_MOST_ONCE:
            stopping = {name for name, leaf in parts.items() if not wanted.get(name) and _may_run(observed[name], leaf)}
    else:
        wanted = _without_gap(decision.replicas, parts, policy.guarantee)
    applied, faults = _leafs(view, parts, {**dict.fromkeys(stopping, 0), **wanted}, stopping)
    kept = {name for name, count in wanted.items() if count or (name in decision.replicas)} | stopping
    deleted = tuple(leaf for name, leaf in sorted(parts.items()) if name not in kept)
    status = _status(view, {n: leaf for n, leaf in parts.items() if n in kept}, decision, faults)
    notes = _notes(view, given if applied or deleted else decision.replicas, decision, status)
    return Step(applied, deleted, status, notes, bool(policy_hold))


def _workload(view: View) -> Workload:
    metadata = view.root["metadata"]
    key = "/".join((view.root["apiVersion"], view.root["kind"], metadata.get("namespace", ""), metadata["name"]))
    return Workload(key, replicas_of(view.root), view.request, can_divide(view.root))


def _given(leaf: Raw) -> int:
    return replicas_of(leaf)


def _is_lost(view: View, cluster: str) -> bool:
    found = view.clusters.get(cluster)
    return found is None or found.is_lost


def _may_run(observed: Observed, leaf: Raw) -> bool:
    """Of what may run once only: a leaf that is deleted tells nothing of its pods, so it is brought to 0 before."""
    if not observed.is_reachable or observed.must_go:
        return False
    return observed.asked > 0 or observed.running > 0 or not is_up_to_date(leaf)


def _observed(view: View, leaf: Raw, guarantee: Guarantee) -> Observed:
    name = leaf["metadata"]["labels"][CLUSTER_LABEL]
    cluster, status = view.clusters.get(name), leaf.get("status") or {}
    ready = int(status.get("readyReplicas") or status.get("ready") or 0)
    running = int(status.get("replicas") or status.get("active") or 0) + int(status.get("terminatingReplicas") or 0)
    if guarantee is Guarantee.AT_MOST_ONCE and not is_up_to_date(leaf):
        running = max(running, replicas_of(view.root))  # as many as it may have been told before
    if cluster is None:
        return Observed(_given(leaf), running, ready, is_reachable=False, must_go=True)
    reachable = not (cluster.is_lost or cluster.is_suspect)
    must_go = not cluster.may_be_used or not cluster.serves
    return Observed(_given(leaf), running, ready, reachable, must_go)


def _without_gap(target: Mapping[str, int], parts: Mapping[str, Raw], guarantee: Guarantee) -> dict[str, int]:
    """Of what is whole in each cluster: at least once somewhere before it goes elsewhere, or never twice."""
    leaving = {name: _given(leaf) for name, leaf in parts.items() if name not in target}
    if guarantee is Guarantee.AT_MOST_ONCE and leaving:
        return {name: count for name, count in target.items() if name in parts}
    arriving = [name for name in target if name not in parts or not _is_ready(parts[name])]
    return dict(target) if not arriving else {**leaving, **target}


def _is_ready(leaf: Raw) -> bool:
    status = leaf.get("status") or {}
    ready = status.get("readyReplicas", status.get("ready"))
    return ready is None or int(ready) >= replicas_of(leaf)


# --- leafs


def _leafs(
    view: View, parts: Mapping[str, Raw], wanted: Mapping[str, int], stopping: Collection[str]
) -> tuple[tuple[Object, ...], list[str]]:
    """Those to write, and what is wrong with the overrides. A leaf with a fault stays as it is; the others go on."""
    applied: list[Object] = []
    faults: list[str] = []
    overrides = view.rules.overrides if view.rules is not None else ()
    for part in parts_of({name: count for name, count in wanted.items() if count or name in stopping}):
        cluster = view.clusters.get(part.cluster)
        try:
            leaf = overridden(leaf_of(view.root, _whole(view, part)), cluster.labels if cluster else {}, overrides)
        except OverrideFault as fault:
            faults.append(f"{part.cluster}: {fault}")
            continue
        _mark(leaf)
        if part.cluster not in parts or _differs(leaf, parts[part.cluster]):
            applied.append(leaf)
    return tuple(applied), faults


def _whole(view: View, part: Part) -> Part:
    """What cannot be divided is the same everywhere."""
    return part if can_divide(view.root) else part._replace(before=0, total=part.replicas)


def _mark(leaf: Object) -> None:
    digest = blake2s(orjson.dumps(leaf, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
    leaf["metadata"]["annotations"] = {**(leaf["metadata"].get("annotations") or {}), FINGERPRINT: digest}


def _differs(wanted: Raw, present: Raw) -> bool:
    """By what was given last (fields that went away) or by what is there (drift)."""
    annotations = present["metadata"].get("annotations") or {}
    return annotations.get(FINGERPRINT) != wanted["metadata"]["annotations"][FINGERPRINT] or not _within(
        wanted, present
    )


def _within(wanted: Any, present: Any) -> bool:
    """Whether all that is wanted is there; a server may add fields and defaults."""
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(
            name in present and _within(value, present[name]) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(present, list)
            and len(present) == len(wanted)
            and all(_within(a, b) for a, b in zip(wanted, present, strict=True))
        )
    return bool(wanted == present)


# --- what is told


def _status(view: View, parts: Mapping[str, Raw], decision: Decision, faults: Sequence[str]) -> Object | None:
    before: Raw = view.root.get("status") or {}
    status = aggregated(view.root, parts, view.now)
    status["conditions"] = with_conditions(status.get("conditions"), [_placed(view, decision, faults)], view.now)
    return None if status == before else status


def _placed(view: View, decision: Decision, faults: Sequence[str]) -> Condition:
    if faults:
        return Condition(PLACED, "False", "OverrideFailed", "; ".join(faults))
    if not view.clusters:
        return Condition(PLACED, "False", "NoRegisteredClusters", "there is no cluster")
    if decision.missing:
        return Condition(PLACED, "False", "InsufficientClusters", decision.message)
    if view.hold.replicas:
        return Condition(PLACED, "False", "WaitingForFence", view.hold.reason)
    if not view.may_fail_over:
        return Condition(PLACED, "False", "WaitingForRate", "other workloads are failed over before it")
    if not decision.replicas and replicas_of(view.root):
        return Condition(PLACED, "False", "NoClusterFits", decision.message)
    return Condition(PLACED, "True", "Placed", _division(decision.replicas))


def _division(replicas: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(replicas.items()))


def _notes(view: View, given: Mapping[str, int], decision: Decision, status: Object | None) -> tuple[Note, ...]:
    """Only of what is new: a step that is repeated tells nothing again."""
    notes = []
    lost = sorted(
        name for name, count in given.items() if count and _is_lost(view, name) and not decision.replicas.get(name)
    )
    gained = {n: c - given.get(n, 0) for n, c in decision.replicas.items() if c > given.get(n, 0)}
    if lost and gained:
        moved = ", ".join(f"{count} to {name}" for name, count in sorted(gained.items()))
        notes.append(Note("Warning", "FailedOver", f"{', '.join(lost)} is lost: {moved}"))
    elif gained or any(given[n] > decision.replicas.get(n, 0) for n in given):
        notes.append(Note("Normal", "Divided", _division(decision.replicas) or "nothing is placed"))
    old = _condition(view.root.get("status"))
    new = old if status is None else _condition(status)
    if new.get("status") == "False" and (old.get("reason"), old.get("message")) != (
        new.get("reason"),
        new.get("message"),
    ):
        notes.append(Note("Warning", new["reason"], new.get("message") or ""))
    return tuple(notes)


def _condition(status: Raw | None) -> Raw:
    return next((c for c in (status or {}).get("conditions") or () if c.get("type") == PLACED), {})

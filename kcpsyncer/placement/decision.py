"""Where a workload runs: the one entrance of placing. Pure; the same question always has the same answer.

Nothing is taken from a cluster that must give it up before another one has room for it, except where it has lost the
right to be there: what finds no other place stays, and is said to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2s

from kcpsyncer.placement.division import Division, Slot, divide
from kcpsyncer.placement.eligibility import Verdict, judge_all
from kcpsyncer.placement.model import ClusterState, Mode, Policy, Rebalance, Share, Workload


@dataclass(frozen=True, slots=True)
class Decision:
    """`replicas`: by cluster, none that is 0. `missing`: replicas without a place. `reasons`: by cluster, why it has
    none, no more, or still some; every cluster that was looked at is in it."""

    replicas: Mapping[str, int]
    missing: int
    reasons: Mapping[str, str]

    @property
    def message(self) -> str:
        """For a condition; empty if everything has its place."""
        if not self.missing and self.replicas:
            return ""
        why = "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items() if reason)
        if not self.reasons:
            return "there is no cluster"
        if self.missing:
            return f"{self.missing} replicas have no place. {why}"
        return why


def place(
    workload: Workload,
    policy: Policy,
    clusters: Iterable[ClusterState],
    now: Mapping[str, int],
    held: Mapping[str, int] | None = None,
) -> Decision:
    """`now`: the replicas that each cluster was given last. `held`: copies in lost clusters that may still run and must
    not be replaced yet; they count as placed."""
    verdicts = judge_all(clusters, policy, workload)
    waiting = held or {}
    if policy.mode is Mode.WHOLE:
        return _whole(workload, verdicts, now, waiting)
    if policy.mode is Mode.DUPLICATE or not workload.can_divide:
        return _duplicated(workload, policy, verdicts, now)
    return _divided(workload, policy, verdicts, now, waiting)


# --- Divide


def _divided(
    workload: Workload, policy: Policy, verdicts: Mapping[str, Verdict], now: Mapping[str, int], held: Mapping[str, int]
) -> Decision:
    total = max(0, workload.replicas - sum(held.values()))
    open_ = {name: verdict for name, verdict in verdicts.items() if name not in held}
    chosen = _at_most(policy.max_clusters, workload, open_, now)
    slots = [_slot(verdicts[name], policy, now.get(name, 0)) for name in chosen]
    found = divide(total, slots, policy.spreads)
    replicas = {**found.replicas}
    missing = _stay(found, verdicts, now, held, replicas)
    for name, count in held.items():
        replicas[name] = replicas.get(name, 0) + count
    reasons = {n: _reason(v, n in chosen, replicas.get(n, 0), n in held) for n, v in verdicts.items()}
    return Decision({name: count for name, count in sorted(replicas.items()) if count}, missing, reasons)


def _slot(verdict: Verdict, policy: Policy, now: int) -> Slot:
    share: Share = policy.share_of(verdict.cluster.labels)
    most = now + verdict.room if verdict.may_grow else now
    if share.maximum is not None:
        most = min(most, share.maximum)
    least = min(share.minimum, most)
    if policy.rebalance is Rebalance.NEVER:
        least = max(least, min(now, most))
    weight = share.weight * max(1, 100 + verdict.score) / 100
    return Slot(verdict.cluster.name, weight, least, most, now, verdict.cluster.labels)


def _stay(
    found: Division,
    verdicts: Mapping[str, Verdict],
    now: Mapping[str, int],
    held: Mapping[str, int],
    replicas: dict[str, int],
) -> int:
    """What found no place stays where it is, if that is possible at all. Returns what is missing even so."""
    missing = found.missing
    for name in sorted(now):
        verdict = verdicts.get(name)
        if missing <= 0 or verdict is None or name in held or not _can_stay(verdict.cluster):
            continue
        kept = min(missing, max(0, now[name] - replicas.get(name, 0)))
        replicas[name] = replicas.get(name, 0) + kept
        missing -= kept
    return missing


def _can_stay(cluster: ClusterState) -> bool:
    """A right that is gone, an API that is gone and a cluster that is gone leave no choice."""
    return cluster.may_be_used and cluster.serves and not cluster.is_lost


def _at_most(
    limit: int | None, workload: Workload, verdicts: Mapping[str, Verdict], now: Mapping[str, int]
) -> list[str]:
    fit = [name for name, verdict in verdicts.items() if verdict.may_grow or (verdict.may_keep and now.get(name))]
    if limit is None or len(fit) <= limit:
        return fit
    return sorted(sorted(fit, key=lambda name: _order(verdicts[name], workload, now))[:limit])


def _order(verdict: Verdict, workload: Workload, now: Mapping[str, int]) -> tuple[bool, int, int, bytes]:
    """Who is asked first: who has it already, who is liked, who has most room; at last as if by lot, else the first by
    name would get everything."""
    name = verdict.cluster.name
    lot = blake2s(f"{workload.key}\0{name}".encode(), digest_size=8).digest()
    return (not now.get(name), -verdict.score, -min(verdict.room, workload.replicas), lot)


def _reason(verdict: Verdict, is_chosen: bool, count: int, is_held: bool) -> str:
    if is_held:
        return "its copies may still run: they are not replaced before that is ruled out"
    if verdict.reason and not verdict.may_keep and count:
        return f"{verdict.reason}, but nowhere else is room for what it runs"
    if verdict.reason:
        return verdict.reason
    return "" if is_chosen else "the policy allows no more clusters"


# --- Duplicate and Whole


def _duplicated(
    workload: Workload, policy: Policy, verdicts: Mapping[str, Verdict], now: Mapping[str, int]
) -> Decision:
    chosen = _at_most(policy.max_clusters, workload, verdicts, now)
    stays = [] if chosen else [name for name in sorted(now) if name in verdicts and _can_stay(verdicts[name].cluster)]
    replicas = {name: workload.replicas for name in chosen or stays}
    reasons = {n: _reason(v, n in chosen, replicas.get(n, 0), False) for n, v in verdicts.items()}
    return Decision(replicas, 0 if replicas else workload.replicas, reasons)


def _whole(
    workload: Workload, verdicts: Mapping[str, Verdict], now: Mapping[str, int], held: Mapping[str, int]
) -> Decision:
    if held:
        reasons = {n: _reason(v, False, now.get(n, 0), n in held) for n, v in verdicts.items()}
        return Decision(dict(held), 0, reasons)
    fit = [name for name, v in verdicts.items() if _holds(v, workload, now.get(name, 0))]
    fit.sort(key=lambda name: _order(verdicts[name], workload, now))
    stays = [name for name in sorted(now) if name in verdicts and _can_stay(verdicts[name].cluster)]
    place_ = (fit or stays)[:1]
    reasons = {}
    for name, verdict in verdicts.items():
        reasons[name] = _reason(verdict, True, workload.replicas if name in place_ else 0, False)
        if not reasons[name] and name not in place_:
            reasons[name] = "another cluster runs all of it" if name in fit else "all of it does not fit"
    return Decision(dict.fromkeys(place_, workload.replicas), 0 if place_ else workload.replicas, reasons)


def _holds(verdict: Verdict, workload: Workload, now: int) -> bool:
    if not verdict.may_grow:
        return verdict.may_keep and now >= workload.replicas > 0
    return now + verdict.room >= workload.replicas

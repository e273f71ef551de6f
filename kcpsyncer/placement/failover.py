"""What losing a cluster means for each workload, at a bounded rate. Pure.

AtLeast: the copies in a lost cluster are replaced at once. AtMostOnce: only when its agent has certainly stopped them,
which it does when it cannot renew its lease; an agent that we run ourselves (push) cannot do that for its cluster, so
there such a workload is never replaced and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kcpsyncer.placement.model import ClusterState, Guarantee

LEASE_S = 15.0
SKEW_S = 5.0  # between the clocks' speeds, and for stopping a copy
RATE_PER_S = 100.0
BURST = 200.0


def fenced_at_s(last_renewal_s: float, lease_s: float = LEASE_S, skew_s: float = SKEW_S) -> float:
    """From then on no copy runs that was started under that lease."""
    return last_renewal_s + lease_s + skew_s


@dataclass(frozen=True, slots=True)
class Hold:
    """`replicas` by lost cluster that must not be replaced yet; `until_s`: when to ask again, None: nobody knows."""

    replicas: Mapping[str, int]
    until_s: float | None
    reason: str = ""


NOTHING_HELD = Hold({}, None)


def held(
    guarantee: Guarantee,
    now: Mapping[str, int],
    clusters: Mapping[str, ClusterState],
    last_renewals_s: Mapping[str, float | None],
    now_s: float,
) -> Hold:
    """Of a workload with `now` replicas by cluster."""
    if guarantee is Guarantee.AT_LEAST:
        return NOTHING_HELD
    found: dict[str, int] = {}
    times: list[float] = []
    reason = ""
    for name in sorted(now):
        cluster = clusters.get(name)
        if not now[name] or cluster is None or not (cluster.is_lost or cluster.is_suspect):
            continue
        renewed_s = last_renewals_s.get(name)
        if not cluster.is_pull or renewed_s is None:
            found[name] = now[name]
            reason = f"{name} has no agent of its own that could stop its copies: AtMostOnce never replaces them"
            continue
        fence_s = fenced_at_s(renewed_s)
        if now_s < fence_s:
            found[name] = now[name]
            times.append(fence_s)
            reason = reason or f"the copies in {name} may run for another {fence_s - now_s:.0f} s"
    return Hold(found, min(times, default=None), reason)


class Rate:
    """How many workloads may be failed over now: a bucket of tokens. One failing cluster must not become a wave of
    starts that takes the others down with it."""

    def __init__(self, rate_per_s: float = RATE_PER_S, burst: float = BURST) -> None:
        self._rate_per_s, self._burst = rate_per_s, burst
        self._tokens, self._at_s = burst, float("-inf")

    def take(self, now_s: float) -> bool:
        self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def wait_s(self) -> float:
        """Until the next one may go."""
        return max(0.0, (1 - self._tokens) / self._rate_per_s)

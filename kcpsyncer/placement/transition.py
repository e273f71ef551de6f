"""From the division that is to the one that is wanted, step by step. Pure.

AtLeast: first the new copies, then away with the old ones: what is ready never falls below what is asked for.
AtMostOnce: first away with the old ones, then the new copies: never more run than are asked for. Each call gives the
next step; a change of any cluster's status is the time for another.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kcpsyncer.placement.model import Guarantee


@dataclass(frozen=True, slots=True)
class Observed:
    """One cluster's part of a workload. `asked`: replicas written down for it; `running`: pods there are, ready or not;
    `ready`: those that serve. `is_reachable`: what is written down arrives, and what is observed is new."""

    asked: int
    running: int
    ready: int
    is_reachable: bool = True
    must_go: bool = False  # now, ready or not: the right to be there is gone


def next_step(target: Mapping[str, int], observed: Mapping[str, Observed], guarantee: Guarantee) -> dict[str, int]:
    """Replicas by cluster to write down now; a cluster with 0 may be let go of."""
    if guarantee is Guarantee.AT_MOST_ONCE:
        return _shrink_first(target, observed)
    return _grow_first(target, observed)


def _grow_first(target: Mapping[str, int], observed: Mapping[str, Observed]) -> dict[str, int]:
    # Only what is seen to be ready counts, and of a cluster that grows no more than it is meant to have.
    serving = sum(min(o.ready, o.asked) for o in observed.values() if o.is_reachable and not o.must_go)
    asked_for = sum(target.values())
    spare = max(0, serving - asked_for)
    step = dict(target)
    for name in sorted(observed):
        part, wanted = observed[name], target.get(name, 0)
        if wanted >= part.asked or part.must_go:
            step[name] = wanted
            continue
        if not part.is_reachable:
            # It may come back before the others are ready, and would find that it has to stop what still serves.
            step[name] = wanted if serving >= asked_for else part.asked
            continue
        ready = min(part.ready, part.asked)
        # Those that are not ready go first: a controller that scales down takes them before the others.
        least = max(wanted, ready - spare)
        spare -= max(0, ready - least)
        step[name] = least
    return step


def _shrink_first(target: Mapping[str, int], observed: Mapping[str, Observed]) -> dict[str, int]:
    asked = {name: part.asked for name, part in observed.items()}
    step = {name: min(asked.get(name, 0), wanted) for name, wanted in target.items()}
    step.update({name: 0 for name in observed if name not in target})
    # A copy that was asked for may come to life at any time; one that runs does until it has gone.
    alive = sum(max(part.running, step[name]) for name, part in observed.items())
    room = max(0, sum(target.values()) - alive)
    for name in sorted(target):
        more = min(room, target[name] - step[name])
        step[name] += more
        room -= more
    return step

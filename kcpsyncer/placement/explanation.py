"""The way of a placed object: from the change of its spec through placing and synchronising to its status. Pure.

What is looked at are the states that the root and its leafs have had (the newest first, each with time and author), as
a logical cluster keeps them. Nobody has to write anything down for this.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from kcpsyncer.placement.leafs import CLUSTER_LABEL, replicas_of

Raw = Mapping[str, Any]


class State(NamedTuple):
    """`time`: RFC 3339; `obj`: None where it was deleted."""

    time: str
    user: str
    obj: Raw | None


class Hop(NamedTuple):
    """`cluster`: "" for the logical cluster itself; `took_s`: since the hop that it follows from, None of the first."""

    time: str
    step: str
    cluster: str
    took_s: float | None
    detail: str


class Way(NamedTuple):
    """`waiting`: what has not happened yet, in words."""

    hops: tuple[Hop, ...]
    waiting: tuple[str, ...]


def way(root: Sequence[State], leafs: Mapping[str, Sequence[State]]) -> Way:
    """Of the last change of the root's spec. `leafs`: by cluster; histories newest first, none of them empty."""
    generation = _generation(root[0].obj)
    changed = _first(root, lambda obj: _generation(obj) == generation)
    hops = [Hop(changed.time, "changed", "", None, f"generation {generation}, by {changed.user or 'somebody'}")]
    waiting: list[str] = []
    last = changed.time
    for cluster in sorted(leafs):
        found = _leaf_hops(cluster, leafs[cluster], changed.time, waiting)
        hops += found
        last = max([last, *(hop.time for hop in found)])
    seen = _first_or_none(root, lambda obj: _observed(obj) >= generation)
    if seen is None:
        waiting.append("the status of the whole does not speak of this generation yet")
    else:
        hops.append(Hop(seen.time, "observed", "", _since(changed.time, seen.time), "by every cluster that has a part"))
    full = _first_or_none(root, lambda obj: _observed(obj) >= generation and _is_ready(obj))
    if full is not None:
        hops.append(Hop(full.time, "ready", "", _since(changed.time, full.time), _ready(full.obj)))
    elif root[0].obj is not None and _wants_ready(root[0].obj):
        waiting.append(f"{_ready(root[0].obj)}")
    return Way(tuple(sorted(hops, key=lambda hop: (hop.time, hop.cluster))), tuple(waiting))


def _leaf_hops(cluster: str, states: Sequence[State], since: str, waiting: list[str]) -> list[Hop]:
    newest = states[0]
    if newest.obj is None:
        return [Hop(newest.time, "left", cluster, _since(since, newest.time), "")] if newest.time >= since else []
    generation = _generation(newest.obj)
    placed = _first(states, lambda obj: _generation(obj) == generation)
    count = f"{replicas_of(newest.obj)} replicas"
    if placed.time < since:  # nothing had to be changed there
        hops, start = [], since
    else:
        hops, start = [Hop(placed.time, "placed", cluster, _since(since, placed.time), count)], placed.time
    seen = _first_or_none(states, lambda obj: _observed(obj) >= generation)
    if seen is None:
        waiting.append(f"{cluster} has not said that it has its part (generation {generation} of the leaf)")
        return hops
    if seen.time >= since:
        hops.append(Hop(seen.time, "synchronised", cluster, _since(start, seen.time), "its controllers have seen it"))
    full = _first_or_none(states, lambda obj: _observed(obj) >= generation and _is_ready(obj))
    if full is None:
        if _wants_ready(newest.obj):
            waiting.append(f"{cluster}: {_ready(newest.obj)}")
    elif full.time >= since:
        hops.append(Hop(full.time, "ready", cluster, _since(seen.time, full.time), _ready(full.obj)))
    return hops


def _first(states: Sequence[State], holds: Any) -> State:
    """The earliest of the newest states for which it holds without a break; the newest one itself at least."""
    return _first_or_none(states, holds) or states[0]


def _first_or_none(states: Sequence[State], holds: Any) -> State | None:
    found = None
    for state in states:
        if state.obj is None or not holds(state.obj):
            break
        found = state
    return found


def _generation(obj: Raw | None) -> int:
    return int(((obj or {}).get("metadata") or {}).get("generation") or 0)


def _observed(obj: Raw) -> int:
    return int((obj.get("status") or {}).get("observedGeneration") or 0)


def _wants_ready(obj: Raw) -> bool:
    return obj.get("kind") != "Job"


def _count(obj: Raw) -> int:
    status = obj.get("status") or {}
    return int(status.get("readyReplicas") or status.get("ready") or 0)


def _is_ready(obj: Raw) -> bool:
    return _wants_ready(obj) and _count(obj) >= replicas_of(obj)


def _ready(obj: Raw | None) -> str:
    return f"{_count(obj or {})} of {replicas_of(obj or {})} replicas are ready"


def _since(before: str, after: str) -> float:
    return round((datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds(), 6)


def cluster_of(leaf: Raw) -> str:
    return str((leaf["metadata"].get("labels") or {}).get(CLUSTER_LABEL) or "")

"""Dividing a number of replicas among clusters by weight, within each one's bounds. Pure.

The method is Jefferson's (D'Hondt's): replica after replica goes where (assigned + 1) / weight is smallest. One replica
more therefore never takes one away from any cluster, and none gets less than its exact share rounded down. Ties go to
whoever already has the replica, then to the first by name, so that the same question always has the same answer and
nothing moves without need.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kcpsyncer.placement.model import Spread

_STEPS = 64  # halvings of an interval: more than a float has bits


class Slot(NamedTuple):
    """A cluster that takes part. `least` ≤ `most`; `now` is what it runs; `labels` are for spreads."""

    name: str
    weight: float
    least: int
    most: int
    now: int
    labels: Mapping[str, str]


class Division(NamedTuple):
    """`replicas` by name, of every slot; `missing`: how many found no place."""

    replicas: dict[str, int]
    missing: int


def divide(total: int, slots: Sequence[Slot], spreads: Sequence[Spread] = ()) -> Division:
    """The minimums come first, even if they exceed `total`'s share for others; never more than `total` in all."""
    given = {slot.name: 0 for slot in slots}
    if not slots or total <= 0:
        return Division(given, max(total, 0) if not slots else 0)
    left = _minimums(total, slots, given)
    if left:
        left = _one_by_one(left, slots, given, spreads) if spreads else _by_weight(total, slots, given)
    return Division(given, left)


def _minimums(total: int, slots: Sequence[Slot], given: dict[str, int]) -> int:
    """In turns, so that where they do not fit everybody gets a part of his. Returns what is left."""
    asked = sum(min(slot.least, slot.most) for slot in slots)
    if asked <= total:
        for slot in slots:
            given[slot.name] = min(slot.least, slot.most)
        return total - asked
    part = divide(total, [slot._replace(least=0, most=min(slot.least, slot.most), weight=1.0) for slot in slots])
    given.update(part.replicas)
    return 0


def _by_weight(total: int, slots: Sequence[Slot], given: dict[str, int]) -> int:
    """Jefferson's method at once: the largest factor whose rounded-down shares fit, then the rest one by one."""
    weighed = [slot for slot in slots if slot.weight > 0 and slot.most > given[slot.name]]
    fixed = sum(given.values()) - sum(given[slot.name] for slot in weighed)
    wanted = min(total - fixed, sum(slot.most for slot in weighed))
    if not weighed or wanted <= 0:
        return total - sum(given.values())
    floors = [(given[slot.name], slot.most, slot.weight) for slot in weighed]
    low, high = _bracket(wanted, floors)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        found = _count(middle, floors)
        if found <= wanted:
            low = middle
            if wanted - found <= len(weighed):
                break
        else:
            high = middle
    for slot, bounds in zip(weighed, floors, strict=True):
        given[slot.name] = _clamped(low, *bounds)
    _fill(wanted - sum(given[slot.name] for slot in weighed), weighed, given)
    return total - sum(given.values())


def _clamped(factor: float, least: int, most: int, weight: float) -> int:
    return max(least, min(most, int(factor * weight)))


def _count(factor: float, floors: Sequence[tuple[int, int, float]]) -> int:
    # A call of `_clamped` for each would be most of a decision over a hundred clusters.
    return sum([
        least if (part := int(factor * weight)) < least else part if part < most else most
        for least, most, weight in floors
    ])  # fmt: skip


def _bracket(wanted: int, floors: Sequence[tuple[int, int, float]]) -> tuple[float, float]:
    """Two factors: at the first everybody together has at most `wanted`, at the second more or as much."""
    low, high = 0.0, (wanted + 1) / sum([weight for _, _, weight in floors])
    highest = (wanted + 1) / min([weight for _, _, weight in floors])  # at which each alone has as much
    while high < highest and _count(high, floors) < wanted:
        low, high = high, high * 2
    return low, high


def _fill(left: int, slots: Sequence[Slot], given: dict[str, int]) -> None:
    queue = [(*_turn(slot, given[slot.name]), at) for at, slot in enumerate(slots) if given[slot.name] < slot.most]
    heapq.heapify(queue)
    while left > 0 and queue:
        at = heapq.heappop(queue)[-1]
        slot = slots[at]
        given[slot.name] += 1
        left -= 1
        if given[slot.name] < slot.most:
            heapq.heappush(queue, (*_turn(slot, given[slot.name]), at))


def _turn(slot: Slot, has: int) -> tuple[float, bool, str]:
    """Who is next: the smallest."""
    return ((has + 1) / slot.weight, slot.now <= has, slot.name)


def _one_by_one(left: int, slots: Sequence[Slot], given: dict[str, int], spreads: Sequence[Spread]) -> int:
    """With spreads each replica has to be looked at: who may have it depends on all those before."""
    groups = _Groups(slots, given, spreads)
    weighed = [slot for slot in slots if slot.weight > 0]
    while left > 0:
        groups.look()
        open_ = [slot for slot in weighed if given[slot.name] < slot.most and groups.may_take(slot)]
        if not open_:
            break
        chosen = min(open_, key=lambda slot: (groups.strain(slot), *_turn(slot, given[slot.name])))
        given[chosen.name] += 1
        groups.take(chosen)
        left -= 1
    return left


class _Groups:
    """How many replicas each value of each spread's label has. Clusters without the label take part in no hard one:
    they get nothing, as nodes without the key do."""

    def __init__(self, slots: Sequence[Slot], given: Mapping[str, int], spreads: Sequence[Spread]) -> None:
        self._spreads = spreads
        self._counts: list[dict[str, int]] = []
        for spread in spreads:
            counts: dict[str, int] = {}
            for slot in slots:
                if spread.label in slot.labels:
                    value = slot.labels[spread.label]
                    counts[value] = counts.get(value, 0) + given[slot.name]
            self._counts.append(counts)
        self._smallest: list[int] = []

    def look(self) -> None:
        """Before questions, whenever something has been taken."""
        self._smallest = [min(counts.values(), default=0) for counts in self._counts]

    def may_take(self, slot: Slot) -> bool:
        for spread, counts, smallest in zip(self._spreads, self._counts, self._smallest, strict=True):
            if spread.is_hard:
                value = slot.labels.get(spread.label)
                if value is None or counts[value] + 1 - smallest > spread.max_skew:
                    return False
        return True

    def strain(self, slot: Slot) -> int:
        """By how much the soft ones would be overstepped; to be without the label is as bad as one too many."""
        found = 0
        for spread, counts, smallest in zip(self._spreads, self._counts, self._smallest, strict=True):
            if not spread.is_hard:
                value = slot.labels.get(spread.label)
                found += 1 if value is None else max(0, counts[value] + 1 - smallest - spread.max_skew)
        return found

    def take(self, slot: Slot) -> None:
        for spread, counts in zip(self._spreads, self._counts, strict=True):
            if spread.label in slot.labels:
                counts[slot.labels[spread.label]] += 1

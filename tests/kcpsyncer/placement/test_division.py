"""Jefferson's method within bounds: examples, and properties against the definition."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from kcpsyncer.placement.division import Slot, divide
from kcpsyncer.placement.model import Spread


def slot(
    name: str, weight: float = 1, least: int = 0, most: int = 10**6, now: int = 0, labels: dict[str, str] | None = None
) -> Slot:
    return Slot(name, weight, least, most, now, labels or {})


def test_fifteen_over_two_are_eight_and_seven() -> None:
    assert divide(15, [slot("us-east1"), slot("us-west1")]).replicas == {"us-east1": 8, "us-west1": 7}
    assert divide(14, [slot("us-east1"), slot("us-west1")]).replicas == {"us-east1": 7, "us-west1": 7}
    assert divide(15, [slot("us-east1"), slot("us-west1", now=8)]).replicas == {"us-east1": 7, "us-west1": 8}


def test_weights_bounds_and_what_finds_no_place() -> None:
    assert divide(15, [slot("a", 2), slot("b", 1)]).replicas == {"a": 10, "b": 5}
    assert divide(15, [slot("a", 2, most=4), slot("b", 1)]).replicas == {"a": 4, "b": 11}
    assert divide(10, [slot("a", most=3), slot("b", most=4)]) == ({"a": 3, "b": 4}, 3)
    assert divide(10, [slot("a", 9), slot("b", 1, least=4)]).replicas == {"a": 6, "b": 4}
    assert divide(5, [slot("a", least=4), slot("b", least=4)]).replicas == {"a": 3, "b": 2}
    assert divide(5, [slot("a", 0), slot("b", 1)]).replicas == {"a": 0, "b": 5}
    assert divide(0, [slot("a", least=2)]) == ({"a": 0}, 0)
    assert divide(3, []) == ({}, 3)


def test_hard_spread_over_zones() -> None:
    zones = [("a", "1"), ("b", "1"), ("c", "2")]
    slots = [slot(name, labels={"zone": zone}) for name, zone in zones]
    assert divide(9, slots, [Spread("zone", 1)]).replicas == {"a": 2, "b": 2, "c": 5} or divide(
        9, slots, [Spread("zone", 1)]
    ).replicas == {"a": 3, "b": 2, "c": 4}
    full = [*slots[:2], slot("c", most=1, labels={"zone": "2"})]
    assert divide(9, full, [Spread("zone", 1)]) == ({"a": 1, "b": 1, "c": 1}, 6)
    assert divide(9, full, [Spread("zone", 1, is_hard=False)]).missing == 0
    assert divide(2, [*slots, slot("d")], [Spread("zone", 1)]).replicas["d"] == 0


WEIGHTS = st.sampled_from([1.0, 2.0, 3.0, 0.5, 7.0, 100.0])


@st.composite
def slots_of(draw: st.DrawFn) -> list[Slot]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        most = draw(st.integers(0, 40))
        least = draw(st.integers(0, most)) if draw(st.booleans()) else 0
        found.append(slot(f"c{number}", draw(WEIGHTS), least, most, draw(st.integers(0, 20))))
    return found


def one_by_one(total: int, slots: Sequence[Slot]) -> dict[str, int]:
    """The definition of the method."""
    given_ = {each.name: each.least for each in slots}
    for _ in range(total - sum(given_.values())):
        open_ = [each for each in slots if given_[each.name] < each.most]
        if not open_:
            break
        best = min(
            open_, key=lambda s: ((given_[s.name] + 1) / s.weight, s.now <= given_[s.name], s.name)
        )  # fmt: skip
        given_[best.name] += 1
    return given_


@given(st.integers(0, 150), slots_of())
def test_it_is_jeffersons_method(total: int, slots: list[Slot]) -> None:
    replicas, missing = divide(total, slots)
    assert sum(replicas.values()) + missing == total
    if total and total >= sum(each.least for each in slots):
        assert replicas == one_by_one(total, slots)
    for each in slots:
        assert 0 <= replicas[each.name] <= each.most
    assert not missing or all(replicas[each.name] == each.most for each in slots)


@given(st.integers(1, 100), slots_of())
def test_one_more_takes_nothing_from_anybody(total: int, slots: list[Slot]) -> None:
    if total < sum(each.least for each in slots):
        return
    before, after = divide(total, slots).replicas, divide(total + 1, slots).replicas
    assert all(after[name] >= count for name, count in before.items())


@given(st.integers(0, 60), slots_of(), st.integers(1, 3))
def test_hard_spreads_hold(total: int, slots: list[Slot], skew: int) -> None:
    labelled = [
        each._replace(least=0, labels={"zone": each.name[-1:] if at % 2 else "x"}) for at, each in enumerate(slots)
    ]
    replicas, missing = divide(total, labelled, [Spread("zone", skew)])
    counts: dict[str, int] = {}
    for each in labelled:
        counts[each.labels["zone"]] = counts.get(each.labels["zone"], 0) + replicas[each.name]
    assert max(counts.values()) - min(counts.values()) <= skew
    assert sum(replicas.values()) + missing == total

from hypothesis import given
from hypothesis import strategies as st

from kcpfront.timing_wheel import TimingWheel


def test_items_come_when_they_are_due_and_once() -> None:
    wheel: TimingWheel[str] = TimingWheel(100)
    wheel.add("a", 102)
    wheel.add("b", 101)
    assert wheel.take(101) == ["b"]
    assert wheel.take(105) == ["a"]
    assert wheel.take(200) == []


def test_what_is_overdue_comes_next() -> None:
    wheel: TimingWheel[str] = TimingWheel(100)
    assert wheel.add("a", 50) == 101
    assert wheel.take(101) == ["a"]


def test_removed_items_do_not_come() -> None:
    wheel: TimingWheel[str] = TimingWheel(0)
    wheel.remove("a", wheel.add("a", 5))
    wheel.remove("a", 5)
    assert wheel.take(10) == []


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans())), st.lists(st.integers(1, 60)))
def test_everything_comes_exactly_once(items: list[tuple[int, bool]], clock: list[int]) -> None:
    wheel: TimingWheel[int] = TimingWheel(0)
    kept = set()
    for index, (due, removed) in enumerate(items):
        slot = wheel.add(index, due)
        if removed:
            wheel.remove(index, slot)
        else:
            kept.add(index)
    came: list[int] = []
    for now in [*sorted(clock), 60]:
        found = wheel.take(now)
        assert all(items[i][0] <= now for i in found)
        came += found
    assert sorted(came) == sorted(kept)

"""From one division to another, judged by a simulated installation: no gap, or never one too many."""

from hypothesis import given
from hypothesis import strategies as st

from kcpsyncer.placement.model import Guarantee
from kcpsyncer.placement.transition import Observed, next_step


def test_new_copies_come_first() -> None:
    observed = {"east": Observed(6, 6, 6)}
    first = next_step({"west": 6}, observed, Guarantee.AT_LEAST)
    assert first == {"east": 6, "west": 6}
    observed["west"] = Observed(6, 6, 2)
    assert next_step({"west": 6}, observed, Guarantee.AT_LEAST) == {"east": 4, "west": 6}
    observed = {"east": Observed(4, 4, 4), "west": Observed(6, 6, 6)}
    assert next_step({"west": 6}, observed, Guarantee.AT_LEAST) == {"east": 0, "west": 6}


def test_copies_that_are_not_ready_may_go_at_once() -> None:
    assert next_step({"west": 4}, {"east": Observed(4, 4, 1)}, Guarantee.AT_LEAST) == {"east": 1, "west": 4}


def test_whoever_lost_the_right_goes_at_once() -> None:
    observed = {"east": Observed(6, 6, 6, must_go=True)}
    assert next_step({"west": 6}, observed, Guarantee.AT_LEAST) == {"east": 0, "west": 6}


def test_a_lost_cluster_is_let_go_of_once_the_others_serve() -> None:
    observed = {"east": Observed(3, 3, 3), "west": Observed(3, 3, 3, is_reachable=False)}
    assert next_step({"east": 6}, observed, Guarantee.AT_LEAST) == {"east": 6, "west": 3}
    observed["east"] = Observed(6, 6, 6)
    assert next_step({"east": 6}, observed, Guarantee.AT_LEAST) == {"east": 6, "west": 0}


def test_old_copies_go_first_where_none_may_run_twice() -> None:
    observed = {"east": Observed(2, 2, 2)}
    assert next_step({"west": 2}, observed, Guarantee.AT_MOST_ONCE) == {"east": 0, "west": 0}
    observed["east"] = Observed(0, 1, 0)  # one is still terminating
    assert next_step({"west": 2}, observed, Guarantee.AT_MOST_ONCE) == {"east": 0, "west": 1}
    observed = {"east": Observed(0, 0, 0), "west": Observed(1, 1, 1)}
    assert next_step({"west": 2}, observed, Guarantee.AT_MOST_ONCE) == {"east": 0, "west": 2}


COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 6), max_size=4)


@given(COUNTS, COUNTS)
def test_a_move_has_no_gap_and_ends(before: dict[str, int], target: dict[str, int]) -> None:
    state = {name: Observed(count, count, count) for name, count in before.items()}
    needed = min(sum(before.values()), sum(target.values()))
    for _ in range(12):
        step = next_step(target, state, Guarantee.AT_LEAST)
        # Shrinking is immediate, growing takes a round.
        shrunk = {name: min(part.ready, step.get(name, 0)) for name, part in state.items()}
        assert sum(shrunk.values()) >= needed
        state = {name: Observed(count, count, count) for name, count in step.items()}
    assert {name: part.asked for name, part in state.items() if part.asked} == {n: c for n, c in target.items() if c}


@given(COUNTS, COUNTS)
def test_a_move_of_what_may_run_once_never_runs_twice(before: dict[str, int], target: dict[str, int]) -> None:
    state = {name: Observed(count, count, count) for name, count in before.items()}
    most = max(sum(before.values()), sum(target.values()))
    for _ in range(12):
        step = next_step(target, state, Guarantee.AT_MOST_ONCE)
        # What goes is still there for a round, what comes is there at once.
        running = {name: max(state[name].asked if name in state else 0, count) for name, count in step.items()}
        assert sum(running.values()) <= most
        state = {name: Observed(count, count, count) for name, count in step.items()}
    assert {name: part.asked for name, part in state.items() if part.asked} == {n: c for n, c in target.items() if c}

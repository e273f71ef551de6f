"""That the attempt to tell by time has teeth: times as a busy machine makes them, with and without a difference."""

import random
from collections.abc import Sequence

from tests.attack.strain import IGNORED_S, PAIRS, TOLD_S, is_sharp, verdict


def times(seed: int, more: float = 0.0, unrest: float = 0.001, count: int = PAIRS) -> Sequence[float]:
    """Seconds: an answer's own time, and what others' work adds to every third."""
    rng = random.Random(seed)
    busy = (rng.expovariate(1 / unrest) if rng.random() < 0.33 else 0.0 for _ in range(count))
    return [0.0015 + more + abs(rng.gauss(0, unrest / 10)) + each for each in busy]


def test_times_of_the_same_thing_tell_nothing() -> None:
    twice = [verdict(times(2 * n), times(2 * n + 1)) and verdict(times(7000 + n), times(8000 + n)) for n in range(8)]
    assert not any(twice)


def test_a_difference_is_told_on_a_busy_machine_and_its_sign() -> None:
    slow, quick = times(1, TOLD_S), times(2)
    assert verdict(slow, quick) == 1 and verdict(quick, slow) == -1


def test_what_is_smaller_than_an_answers_unrest_is_let_pass() -> None:
    assert verdict(times(1, IGNORED_S / 2, 0.0001), times(2, 0.0, 0.0001)) == 0


def test_measurements_that_could_not_tell_are_not_sharp() -> None:
    assert is_sharp(times(1), times(2))
    assert not is_sharp(times(1, unrest=0.05, count=40), times(2, unrest=0.05, count=40))

import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.settings import Settings
from kcpshard.storage.clock import ClockBehind, RevisionClock

NOW = 1_800_000_000_000_000


def test_revisions_follow_the_clock_and_count_through_a_step_back() -> None:
    clock = RevisionClock(3, Settings(), 0, NOW)
    assert clock.next(NOW + 5) == (NOW + 5) * 1000 + 3
    assert clock.next(NOW + 5) == (NOW + 6) * 1000 + 3
    assert clock.next(NOW - 1_000_000) == (NOW + 7) * 1000 + 3
    assert clock.next(NOW + 100) == (NOW + 100) * 1000 + 3


def test_a_stored_revision_in_the_past_is_left_behind_at_once() -> None:
    assert RevisionClock(3, Settings(), 5, NOW).last == NOW * 1000 + 3


def test_half_a_second_behind_is_the_limit() -> None:
    stored = (NOW + 500_000) * 1000 + 3
    assert RevisionClock(3, Settings(), stored, NOW).last == stored
    with pytest.raises(ClockBehind, match=r"0\.5 s behind"):
        RevisionClock(3, Settings(), stored + 1000, NOW)
    assert RevisionClock(3, Settings(accept_clock=True), stored + 1000, NOW).last == stored + 1000


def test_a_raise_is_written_down_only_if_it_is_ahead() -> None:
    clock = RevisionClock(3, Settings(), 0, NOW)
    assert not clock.raise_to(clock.last, NOW)
    assert not clock.raise_to((NOW + 50) * 1000 + 9, NOW + 100)
    assert clock.raise_to((NOW + 200_000) * 1000 + 9, NOW)
    assert clock.next(NOW) > (NOW + 200_000) * 1000 + 9
    with pytest.raises(ServiceUnavailable, match="ahead of this shard's clock"):
        clock.raise_to((NOW + 900_000) * 1000, NOW)

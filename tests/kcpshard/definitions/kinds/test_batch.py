import pytest

from kcpshard.definitions.kinds.batch import schedule_fault


@pytest.mark.parametrize("schedule", ["* * * * *", "*/5 1-3 * jan,feb mon", "@daily", "@every 5m", "0 0 ? * *"])
def test_schedules(schedule: str) -> None:
    assert schedule_fault(schedule) == ""


@pytest.mark.parametrize("schedule", ["", "x", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "@x"])
def test_what_is_no_schedule(schedule: str) -> None:
    assert schedule_fault(schedule)

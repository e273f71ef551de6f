from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.errors import BadRequest
from kcpshard.api.points_in_time import TOLERANCE_US, point_in_time, refuse, too_old

NOW_US = 1_800_000_000_000_000  # 2027-01-15T08:00:00Z


@pytest.mark.parametrize(
    ("text", "revision"),
    [
        pytest.param("1799999999999999001", 1_799_999_999_999_999_001, id="a resourceVersion"),
        pytest.param("2027-01-15T08:00:00Z", 1_800_000_000_999_999_999, id="to the end of the second"),
        pytest.param("2027-01-15T08:00:00.5Z", 1_800_000_000_500_000_999, id="to half a second"),
        pytest.param("2027-01-15t10:00:00.000001+02:00", 1_800_000_000_000_001_999, id="another zone"),
        pytest.param("1969-12-31T23:59:59Z", 999, id="before there were revisions"),
    ],
)
def test_points_in_time(text: str, revision: int) -> None:
    assert point_in_time(text, NOW_US + 10_000_000) == revision


@pytest.mark.parametrize("text", ["yesterday", "2027-01-15", "2027-02-30T08:00:00Z", "2027-01-15T08:00:00", "-5", ""])
def test_what_is_none(text: str) -> None:
    with pytest.raises(BadRequest, match="must be a time"):
        point_in_time(text, NOW_US)


def test_the_future_is_refused_beyond_a_second() -> None:
    assert point_in_time("2027-01-15T08:00:00.9Z", NOW_US)
    with pytest.raises(BadRequest, match="future"):
        point_in_time("2027-01-15T08:00:02Z", NOW_US)
    assert TOLERANCE_US == 1_000_000


@given(st.datetimes(min_value=datetime(2020, 1, 1)))
def test_later_times_are_later_revisions(moment: datetime) -> None:
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert point_in_time(text, 1 << 62) // 1000 % 1_000_000 == moment.microsecond


def test_errors_say_what_can_be_had() -> None:
    assert "2027-01-15T08:00:00Z" in too_old(1_800_000_000_000_000_001).message
    assert "watches" in refuse("watches").message

import pytest

from kcpshard.definitions.timestamps import InvalidTime, canonical_micro_time, canonical_time


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("2020-01-31T23:59:59Z", "2020-01-31T23:59:59Z"),
        ("2020-01-01T00:00:00.999Z", "2020-01-01T00:00:00Z"),
        ("2020-01-01T01:00:00+02:00", "2019-12-31T23:00:00Z"),
    ],
)
def test_times_are_kept_in_utc_and_whole_seconds(text: str, stored: str) -> None:
    assert canonical_time(text) == stored
    assert canonical_time(stored) == stored


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x", 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
        ("2020-01-01", 'parsing time "2020-01-01" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'),
        ("2020-13-01T00:00:00Z", 'parsing time "2020-13-01T00:00:00Z": month out of range'),
        ("2020-02-30T00:00:00Z", 'parsing time "2020-02-30T00:00:00Z": day out of range'),
        ("2020-01-01T00:00:00Zx", 'parsing time "2020-01-01T00:00:00Zx": extra text: "x"'),
    ],
)
def test_faults_are_gos(text: str, fault: str) -> None:
    with pytest.raises(InvalidTime) as found:
        canonical_time(text)
    assert str(found.value) == fault


def test_micro_times_have_six_digits() -> None:
    assert canonical_micro_time("2020-01-01T01:00:00.123456+01:00") == "2020-01-01T00:00:00.123456Z"
    with pytest.raises(InvalidTime, match=r'cannot parse "Z" as "\.000000"'):
        canonical_micro_time("2020-01-01T00:00:00Z")

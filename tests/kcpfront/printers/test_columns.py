import pytest

from kcpfront.printers.columns import DEFAULT, age, human_duration


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-2, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (10860, "3h1m"),
        (28799, "7h59m"),
        (28800, "8h"),
        (172799, "47h"),
        (172800, "2d"),
        (176400, "2d1h"),
        (691199, "7d23h"),
        (691200, "8d"),
        (63071999, "729d"),
        (63072000, "2y"),
        (63158400, "2y1d"),
        (252287999, "7y364d"),
        (252288000, "8y"),
    ],
)
def test_durations_as_kubectl_users_know_them(seconds: float, shown: str) -> None:
    assert human_duration(seconds) == shown


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        (None, "<unknown>"),
        ("", "<unknown>"),
        ("1970-01-01T00:01:00Z", "40s"),
        ("1970-01-01T00:01:00.500000Z", "39s"),
        ("nonsense", "<invalid>"),
    ],
)
def test_ages(timestamp: str | None, shown: str) -> None:
    assert age(timestamp, 100.0) == shown


def test_unknown_kinds_show_name_and_creation() -> None:
    obj = {"metadata": {"name": "a", "creationTimestamp": "1970-01-01T00:01:00Z"}}
    assert [(c.name, c.type) for c in DEFAULT.columns] == [("Name", "string"), ("Created At", "date")]
    assert DEFAULT.cells(obj, 100.0) == ["a", "1970-01-01T00:01:00Z"]

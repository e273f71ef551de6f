import pytest

from kcpfront.filters.request_deadline import parse_duration, request_timeout_s
from kcpfront.request_info import parse_request
from kcpshard.api.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("100ms", 0.1),
        ("2us", 2e-6),
        ("3µs", 3e-6),
        ("1ns", 1e-9),
        ("0", 0.0),
        ("-1s", -1.0),
        ("+1s", 1.0),
        ("", None),
        ("1", None),
        ("s", None),
        ("1x", None),
        ("1s ", None),
        ("--1s", None),
        ("1.s", 1.0),
        (".s", None),
        ("1e3s", None),
        ("-", None),
    ],
)
def test_durations_are_go_durations(text: str, seconds: float | None) -> None:
    found = parse_duration(text)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("target", "seconds"),
    [
        pytest.param("/api/v1/nodes", 60, id="default"),
        pytest.param("/api/v1/nodes?timeout=5s", 5, id="asked for"),
        pytest.param("/api/v1/nodes?timeout=0s", 60, id="0s means default"),
        pytest.param("/api/v1/nodes?timeout=-1s", 60, id="negative means default"),
        pytest.param("/api/v1/nodes?timeout=3h", 60, id="at most the default"),
        pytest.param("/api/v1/nodes?watch=1&timeout=x", 60, id="of a watch it says nothing"),
    ],
)
def test_timeouts(target: str, seconds: float) -> None:
    assert request_timeout_s(parse_request("GET", target, None)) == seconds


def test_a_broken_timeout_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        request_timeout_s(parse_request("GET", "/api/v1/nodes?timeout=x", None))
    assert caught.value.message == 'invalid timeout specified in the request URL - time: invalid duration "x"'

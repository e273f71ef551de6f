import pytest

from kcpshard.schema.formats import accepts


@pytest.mark.parametrize(
    ("format_", "text", "expected"),
    [
        pytest.param("date-time", "2024-01-02T03:04:05Z", True, id="date-time"),
        pytest.param("date-time", "2024-01-02T03:04:05.123456789+01:00", True, id="date-time with nanoseconds"),
        pytest.param("date-time", "2024-13-02T03:04:05Z", False, id="thirteenth month"),
        pytest.param("date", "2024-02-30", False, id="30 February"),
        pytest.param("ipv4", "10.0.0.1", True, id="ipv4"),
        pytest.param("ipv4", "10.0.0", False, id="short ipv4"),
        pytest.param("ipv6", "::1", True, id="ipv6"),
        pytest.param("cidr", "10.0.0.1/8", True, id="cidr"),
        pytest.param("cidr", "10.0.0.1", False, id="cidr without length"),
        pytest.param("uuid", "123e4567-e89b-12d3-a456-426614174000", True, id="uuid"),
        pytest.param("uuid4", "123e4567-e89b-12d3-a456-426614174000", False, id="uuid of another version"),
        pytest.param("duration", "1h30m", True, id="duration"),
        pytest.param("duration", "soon", False, id="no duration"),
        pytest.param("byte", "YWJj", True, id="base64"),
        pytest.param("byte", "YWJ", False, id="short base64"),
        pytest.param("no-such-format", "anything", True, id="unknown formats accept everything"),
    ],
)
def test_formats(format_: str, text: str, expected: bool) -> None:
    assert accepts(format_, text) is expected

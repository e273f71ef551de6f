"""metav1.Time and metav1.MicroTime as text: checked, and brought to the UTC form in which they are stored."""

import re
from datetime import UTC, datetime

_CANONICAL = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z")
_MICRO_CANONICAL = re.compile(_CANONICAL.pattern[:-1] + r"\.[0-9]{6}Z")
_DATE = [("2006", "[0-9]{4}"), ("-", "-"), ("01", "[0-9]{2}"), ("-", "-"), ("02", "[0-9]{2}"), ("T", "T")]
_CLOCK = [("15", "[0-9]{2}"), (":", ":"), ("04", "[0-9]{2}"), (":", ":"), ("05", "[0-9]{2}")]
_ZONE = [("Z07:00", r"Z|[+-][0-9]{2}:[0-9]{2}")]
_LAYOUT = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
_FRACTION = ("", r"([.,][0-9]+)?")  # Go reads a fraction of a second wherever it may follow
_PARTS = [(shown, re.compile(pattern)) for shown, pattern in (*_DATE, *_CLOCK, _FRACTION, *_ZONE)]
_MICRO_PARTS = [
    (shown, re.compile(pattern)) for shown, pattern in (*_DATE, *_CLOCK, (".000000", r"\.[0-9]{6}"), *_ZONE)
]


class InvalidTime(ValueError):
    """The text is Go's."""


def canonical_time(text: str) -> str:
    """RFC 3339 in UTC with whole seconds. Raises InvalidTime."""
    if _CANONICAL.fullmatch(text):
        return text
    _check(text, _LAYOUT, _PARTS)
    return _parsed(text).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def canonical_micro_time(text: str) -> str:
    """RFC 3339 in UTC with exactly six digits of a second. Raises InvalidTime."""
    if _MICRO_CANONICAL.fullmatch(text):
        return text
    _check(text, _MICRO_LAYOUT, _MICRO_PARTS)
    return _parsed(text).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _check(text: str, layout: str, parts: list[tuple[str, re.Pattern[str]]]) -> None:
    """Go's `time.Parse` names the element at which it stopped and what is left of the value."""
    at = 0
    for shown, pattern in parts:
        found = pattern.match(text, at)
        if found is None:
            raise InvalidTime(f'parsing time "{text}" as "{layout}": cannot parse "{text[at:]}" as "{shown}"')
        at = found.end()
    if at != len(text):
        raise InvalidTime(f'parsing time "{text}": extra text: "{text[at:]}"')


_LIMITS = (("month", 5, 7, 12), ("hour", 11, 13, 23), ("minute", 14, 16, 59), ("second", 17, 19, 59))


def _parsed(text: str) -> datetime:
    for name, start, end, limit in _LIMITS:
        if int(text[start:end]) > limit or (name == "month" and text[5:7] == "00"):
            raise InvalidTime(f'parsing time "{text}": {name} out of range')
    try:
        return datetime.fromisoformat(text.replace(",", ".")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidTime(f'parsing time "{text}": day out of range') from None

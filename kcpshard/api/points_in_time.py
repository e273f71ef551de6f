"""The parameter `at`: which past state a get or list shall show.

A point in time is an RFC 3339 time or a resourceVersion. A time means everything committed up to its end: `12:00:00`
shows what was there when that second had passed, `12:00:00.5` what was there half a second into it.
"""

import re
from datetime import UTC, datetime, timedelta

from kcpshard.api.errors import BadRequest, Expired

FIELD = "at"
# A clock of the client that runs a little ahead is no reason to refuse it the newest state.
TOLERANCE_US = 1_000_000
_SHARDS = 1000  # a revision is microseconds × 1000 + shard
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)  # RFC 3339, section 5.6


def point_in_time(text: str, now_us: int) -> int:
    """The newest revision that `text` includes. Raises BadRequest for what is no point in time or lies in the future.

    A resourceVersion is given back as it is: whether it has come to pass is for whoever knows the newest one.
    """
    if text.isascii() and text.isdigit() and len(text) <= 19:
        return int(text)
    microseconds = _microseconds(text)
    if microseconds > now_us + TOLERANCE_US:
        raise BadRequest(f'{FIELD}: Invalid value: "{text}": lies in the future')
    return microseconds * _SHARDS + _SHARDS - 1


def refuse(what: str) -> BadRequest:
    return BadRequest(f"{FIELD} is not allowed for {what}: the past can be read, not watched or changed")


def too_old(oldest: int) -> Expired:
    """Of a point in time that is no longer kept; `oldest` is the first revision that is."""
    kept = datetime.fromtimestamp(oldest // _SHARDS // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Expired(f"the state at that time is no longer kept: the oldest is of {kept}, resourceVersion {oldest}")


def _microseconds(text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise _invalid(text)
    date, time, fraction, zone = found.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        whole = datetime.fromisoformat(f"{date}T{time}{zone}")
    except ValueError:
        raise _invalid(text) from None
    seconds = (whole - datetime.fromtimestamp(0, UTC)) // timedelta(seconds=1)
    if fraction is None:
        return max(seconds * 1_000_000 + 999_999, 0)
    return max(seconds * 1_000_000 + int(fraction.ljust(6, "0")[:6]), 0)


def _invalid(text: str) -> BadRequest:
    return BadRequest(f'{FIELD}: Invalid value: "{text}": must be a time (RFC 3339) or a resourceVersion')

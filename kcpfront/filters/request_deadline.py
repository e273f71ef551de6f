"""Until when a request may take: `?timeout=`, kube-apiserver's default otherwise. Pure."""

import re

from kcpfront.request_info import RequestInfo
from kcpshard.api.errors import BadRequest

DEFAULT_TIMEOUT_S = 60.0  # kube-apiserver's --request-timeout: also the most a client may ask for

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def request_timeout_s(info: RequestInfo) -> float:
    """Seconds this request may take. 0, none and negative mean the default. Raises BadRequest."""
    text = info.get("timeout")
    if not text or info.verb == "watch":
        return DEFAULT_TIMEOUT_S
    seconds = parse_duration(text)
    if seconds is None:
        raise BadRequest(f'invalid timeout specified in the request URL - time: invalid duration "{text}"')
    return min(seconds, DEFAULT_TIMEOUT_S) if seconds > 0 else DEFAULT_TIMEOUT_S


def parse_duration(text: str) -> float | None:
    """Go's time.ParseDuration in seconds; None if it is not one."""
    rest, sign = text, 1.0
    if rest[:1] in "+-" and rest:
        sign, rest = (-1.0 if rest[0] == "-" else 1.0), rest[1:]
    if rest == "0":
        return 0.0
    total, position = 0.0, 0
    while position < len(rest):
        match = _PART.match(rest, position)
        if match is None:
            return None
        total += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    return sign * total if rest else None

"""String formats that a CRD schema may ask for: which strings satisfy them. Unknown formats accept everything.

Source: apiextensions "supported formats" and go-openapi/strfmt. Patterns run on RE2.
"""

import base64
import binascii
import ipaddress
from collections.abc import Callable
from datetime import date, datetime

import re2

_EMAIL = re2.compile(r"^[^@\s<>]+@[^@\s<>]+$")
_HOSTNAME = re2.compile(
    r"^([a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*\.?$"
)
_UUID = r"^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?%s[0-9a-fA-F]{3}-?%s[0-9a-fA-F]{3}-?[0-9a-fA-F]{12}$"
_DURATION = re2.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$")
_WORD_DURATION = re2.compile(r"^\s*\d+\s*(ns|nano|us|µs|micro|ms|milli|s|sec|m|min|h|hr|hour|d|day|w|wk|week)s?\s*$")
_DATE_TIME = re2.compile(r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[-+]\d{2}:\d{2})$")
_MAC = re2.compile(r"^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$|^([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}$")
_HEX_COLOUR = re2.compile(r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")
_RGB_COLOUR = re2.compile(
    r"^rgb\(\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*"
    r"(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$"
)
_URI = re2.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*:\S+$|^/\S*$")


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def accepts(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return accepts


def _is_date_time(text: str) -> bool:
    if not _DATE_TIME.match(text):
        return False
    plain = text.upper().replace(" ", "T").replace("Z", "+00:00")
    head, _, fraction = plain.partition(".")
    digits = len(fraction) - len(fraction.lstrip("0123456789"))
    return _parses(datetime.fromisoformat)(
        head + ("." + fraction[: min(6, digits)].ljust(6, "0") + fraction[digits:] if fraction else "")
    )


def _is_duration(text: str) -> bool:
    return text == "0" or bool(_DURATION.match(text)) or bool(_WORD_DURATION.match(text))


def _matches(pattern: object) -> Callable[[str], bool]:
    return lambda text: pattern.match(text) is not None  # type: ignore[attr-defined]


def _is_bytes(text: str) -> bool:
    return len(text) % 4 == 0 and _parses(lambda t: base64.b64decode(t, validate=True))(text)


FORMATS: dict[str, Callable[[str], bool]] = {
    "byte": _is_bytes,
    "cidr": _parses(lambda t: ipaddress.ip_network(t, strict=False) if "/" in t else int("x")),
    "date": _parses(date.fromisoformat),
    "datetime": _is_date_time,
    "date-time": _is_date_time,
    "duration": _is_duration,
    "email": _matches(_EMAIL),
    "hexcolor": _matches(_HEX_COLOUR),
    "hostname": _matches(_HOSTNAME),
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "mac": _matches(_MAC),
    "password": lambda text: True,
    "rgbcolor": _matches(_RGB_COLOUR),
    "uri": _matches(_URI),
    "uuid": _matches(re2.compile(_UUID % ("[0-9a-fA-F]", "[0-9a-fA-F]"))),
    "uuid3": _matches(re2.compile(_UUID % ("3", "[0-9a-fA-F]"))),
    "uuid4": _matches(re2.compile(_UUID % ("4", "[89abAB]"))),
    "uuid5": _matches(re2.compile(_UUID % ("5", "[89abAB]"))),
}


def accepts(format_: str, text: str) -> bool:
    check = FORMATS.get(format_)
    return check is None or check(text)

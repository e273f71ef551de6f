"""What the functions of the standard library and of Kubernetes' libraries do, by name and number of arguments.

A function finds out at run time what it was given: after `dyn` the check knows no more.
"""

import functools
import ipaddress
import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import re2

from kcpshard.cel import authorization, operators
from kcpshard.cel.formatting import format_string, quote
from kcpshard.cel.named_formats import NAMED_FORMATS
from kcpshard.cel.operators import no_overload
from kcpshard.cel.values import (
    INT_MAX,
    INT_MIN,
    NONE,
    Cidr,
    Duration,
    EvalFault,
    Format,
    Ip,
    Optional,
    Quantity,
    Semver,
    Timestamp,
    TypeName,
    Url,
    contains,
    equal,
    parse_quantity,
    parse_semver,
    type_name,
)  # fmt: skip


@functools.lru_cache(maxsize=512)
def pattern(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise EvalFault(f"error parsing regexp: {error}") from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(no_overload())


def _numbers(*values: Any) -> None:
    if any(type(v) is not int for v in values):
        no_overload()


def _index_of(value: Any, wanted: Any, start: int = 0) -> int:
    if isinstance(value, list):
        return next((i for i, v in enumerate(value) if equal(v, wanted)), -1)
    if wanted == "":
        return start
    if not 0 <= start <= len(_text(value)):
        if start < 0:
            raise EvalFault(f"index out of range: {start}")
        return -1
    return _text(value).find(_text(wanted), start)


def _last_index_of(value: Any, wanted: Any, start: int | None = None) -> int:
    if isinstance(value, list):
        return next((i for i in range(len(value) - 1, -1, -1) if equal(value[i], wanted)), -1)
    text = _text(value)
    if wanted == "":
        return len(text) if start is None else start
    if start is None:
        return text.rfind(_text(wanted))
    if start < 0:
        raise EvalFault(f"index out of range: {start}")
    return text.rfind(_text(wanted), 0, start + len(wanted)) if start < len(text) else -1


def _char_at(value: Any, at: Any) -> str:
    _numbers(at)
    if not 0 <= at <= len(_text(value)):
        raise EvalFault(f"index out of range: {at}")
    return _text(value)[at : at + 1]


def _substring(value: Any, start: Any, end: Any = None) -> str:
    text, end = _text(value), len(value) if end is None else end
    _numbers(start, end)
    if start < 0 or start > len(text):
        raise EvalFault(f"index out of range: {start}")
    if end < 0 or end > len(text):
        raise EvalFault(f"index out of range: {end}")
    if start > end:
        raise EvalFault(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def _split(value: Any, separator: Any, limit: Any = -1) -> list[str]:
    text = _text(value)
    if limit == 0:
        return []
    if limit == 1:
        return [text]
    if separator == "":
        return list(text) if limit < 0 or limit >= len(text) else [*text[: limit - 1], text[limit - 1 :]]
    return text.split(_text(separator), limit - 1 if limit > 0 else -1)


def _replace(value: Any, old: Any, new: Any, limit: Any = -1) -> str:
    return _text(value).replace(_text(old), _text(new), limit)


_ASCII_LOWER = {c: c + 32 for c in range(65, 91)}
_ASCII_UPPER = {c: c - 32 for c in range(97, 123)}


def _find(value: Any, text: Any) -> str:
    found = pattern(_text(text)).search(_text(value))
    return found.group() if found else ""


def _find_all(value: Any, text: Any, limit: Any = -1) -> list[str]:
    found: list[str] = []
    for match in pattern(_text(text)).finditer(_text(value)):
        if 0 <= limit <= len(found):
            break
        found.append(match.group())
    return found


def _join(values: Any, separator: Any = "") -> str:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        return str(no_overload())
    return _text(separator).join(values)


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else list(no_overload())


def _sum(values: Any) -> Any:
    return functools.reduce(operators.add, values) if values else 0


def _extreme(values: Any, word: str) -> Any:
    if not _elements(values):
        raise EvalFault(f"{word} called on empty list")
    best = values[0]
    for value in values[1:]:
        if operators.is_less(value, best) if word == "min" else operators.is_less(best, value):
            best = value
    return best


def _slice(values: Any, start: Any, end: Any) -> list[Any]:
    _numbers(start, end)
    if start < 0 or end < 0:
        raise EvalFault(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvalFault(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(_elements(values)):
        raise EvalFault(f"cannot slice({start}, {end}), list is length {len(values)}")
    return list(values[start:end])


def _flatten(values: Any, depth: Any = 1) -> list[Any]:
    if depth < 0:
        raise EvalFault("level must be non-negative")
    found: list[Any] = []
    for value in _elements(values):
        if isinstance(value, list) and depth > 0:
            found += _flatten(value, depth - 1)
        else:
            found.append(value)
    return found


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in _elements(values):
        if not contains(found, value):
            found.append(value)
    return found


def _sort(values: Any, keys: Any = None) -> list[Any]:
    """By `keys`, one for each value, or by the values themselves."""
    found = _elements(values)
    by = found if keys is None else keys
    return [found[i] for i in sorted(range(len(found)), key=lambda i: by[i])]


def _is_sorted(values: Any) -> bool:
    found = _elements(values)
    return all(operators.is_at_most(a, b) for a, b in itertools.pairwise(found))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text)
    if "%" in text or (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped):
        raise ValueError(text)
    return address


def _network(text: str) -> Cidr:
    if not re.fullmatch(r"[0-9A-Fa-f.:]+/(0|[1-9]\d{0,2})", text):
        raise ValueError(text)
    interface = ipaddress.ip_interface(text)
    _address(str(interface.ip))
    return Cidr(interface)


def _ip(value: Any) -> Ip:
    if type(value) is Cidr:
        return Ip(value.interface.ip)
    try:
        return Ip(_address(_text(value)))
    except ValueError:
        reason = f'ParseAddr("{value}"): unable to parse IP'
        raise EvalFault(f'IP Address "{value}" parse error during conversion from string: {reason}') from None


def _cidr(value: Any) -> Cidr:
    try:
        return _network(_text(value))
    except ValueError:
        reason = "no '/'" if "/" not in value else "unable to parse IP"
        text = "network address parse error during conversion from string: "
        raise EvalFault(f'{text}{text}netip.ParsePrefix("{value}"): {reason}') from None


def _is(parse: Callable[..., Any]) -> Callable[..., bool]:
    def accepts(value: Any, *more: Any) -> bool:
        try:
            parse(_text(value), *more)
        except ValueError:
            return False
        return True

    return accepts


def _contains_ip(network: Cidr, value: Any) -> bool:
    address = value if type(value) is Ip else _ip(value)
    return address.address in network.interface.network


def _contains_cidr(network: Cidr, value: Any) -> bool:
    other = value if type(value) is Cidr else _cidr(value)
    one, two = network.interface.network, other.interface.network
    return one.version == two.version and two.subnet_of(one)  # type: ignore[arg-type]


def _masked(network: Cidr) -> Cidr:
    return Cidr(ipaddress.ip_interface(str(network.interface.network)))


def _is_global_unicast(ip: Ip) -> bool:
    a = ip.address
    broadcast = str(a) == "255.255.255.255"
    return not (a.is_unspecified or a.is_loopback or a.is_multicast or a.is_link_local or broadcast)


def _is_link_local_multicast(ip: Ip) -> bool:
    packed = ip.address.packed
    if len(packed) == 4:
        return packed[:3] == b"\xe0\x00\x00"
    return packed[0] == 0xFF and packed[1] & 0x0F == 2


def parse_url(text: str) -> Url:
    """url.ParseRequestURI: an absolute address or an absolute path."""
    if not text or any(ord(c) < 0x20 or ord(c) == 0x7F for c in text) or re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ValueError(text)
    parts = urlsplit(text, allow_fragments=False)
    has_scheme = bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text))
    if not has_scheme and not text.startswith("/"):
        raise ValueError(text)
    if " " in parts.netloc or (parts.netloc and not re.fullmatch(r"(.*@)?(\[[^\]]*\]|[^:\[\]]*)(:\d*)?", parts.netloc)):
        raise ValueError(text)
    return Url(parts, text)


def _url(value: Any) -> Url:
    try:
        return parse_url(_text(value))
    except ValueError:
        raise EvalFault(
            f'URL parse error during conversion from string: parse "{value}": invalid URI for request'
        ) from None


def _host(url: Url) -> str:
    return url.parts.netloc.rpartition("@")[2]


def _hostname(url: Url) -> str:
    host = _host(url)
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _port(url: Url) -> str:
    host = _host(url)
    return host.rpartition("]")[2].partition(":")[2] if host.startswith("[") else host.partition(":")[2]


def _escaped_path(url: Url) -> str:
    text = url.text.partition("?")[0]
    if url.parts.netloc:
        text = text.partition("//")[2]
        return "/" + text.partition("/")[2] if "/" in text else ""
    if url.parts.scheme and not url.parts.path.startswith("/"):
        return ""
    return url.parts.path


def _query(url: Url) -> dict[str, list[str]]:
    return {unquote(k): v for k, v in parse_qs(url.parts.query, keep_blank_values=True).items()}


def _quantity(value: Any) -> Quantity:
    try:
        return parse_quantity(_text(value))
    except ValueError:
        raise EvalFault(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ) from None


def _as_integer(value: Quantity) -> int:
    if value.amount != int(value.amount) or not INT_MIN <= value.amount <= INT_MAX:
        raise EvalFault("cannot convert value to integer")
    return int(value.amount)


def _added(sign: int) -> Callable[[Any, Any], Quantity]:
    def add(one: Any, two: Any) -> Quantity:
        amount = two.amount if type(two) is Quantity else two if type(two) is int else no_overload()
        return Quantity(one.amount + sign * amount)

    return add


def _order(value: Any) -> Any:
    if type(value) is Quantity:
        return value.amount
    return value.order() if type(value) is Semver else no_overload()


def _compare(one: Any, two: Any) -> int:
    a, b = _order(one), _order(two)
    return int(a > b) - int(a < b)


def _semver(value: Any, normalize: bool = False) -> Semver:
    try:
        return parse_semver(_text(value), normalize)
    except ValueError:
        raise EvalFault("No Major.Minor.Patch elements found") from None


def _optional_value(value: Optional) -> Any:
    if not value.has:
        raise EvalFault("optional.none() dereference")
    return value.value


def _is_zero(value: Any) -> bool:
    return value is None or (isinstance(value, bool | int | float | str | bytes | list | dict) and not value)


def _validate(format_: Format, text: Any) -> Optional:
    faults = format_.faults(_text(text))
    return Optional(True, faults) if faults else NONE


def _named(name: Any) -> Optional:
    found = NAMED_FORMATS.get(_text(name))
    return Optional(True, found) if found else NONE


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _date_part(part: Callable[[datetime], int]) -> Callable[..., Any]:
    def of(value: Any, zone: Any = "UTC") -> Any:
        if type(value) is not Timestamp:
            return no_overload()
        moment = _EPOCH + timedelta(seconds=value.ns // 10**9, microseconds=value.ns % 10**9 // 1000)
        return part(moment.astimezone(_zone(zone)))

    return of


def _zone(name: str) -> Any:
    if match := re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name):
        minutes = int(match.group(2)) * 60 + int(match.group(3))
        return timezone(timedelta(minutes=-minutes if match.group(1) == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvalFault(f"unknown time zone {name}") from None


def _clock_part(unit_ns: int, part: Callable[[datetime], int]) -> Callable[..., Any]:
    of_timestamp = _date_part(part)

    def of(value: Any, *zone: Any) -> Any:
        if type(value) is Duration:
            quotient = abs(value.ns) // unit_ns
            return -quotient if value.ns < 0 else quotient
        return of_timestamp(value, *zone)

    return of


def _contains(one: Any, two: Any) -> bool:
    return all(contains(one, v) for v in two)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_+_": operators.add, "_-_": operators.subtract, "_*_": operators.multiply, "_/_": operators.divide,
    "_%_": operators.modulo, "-_": operators.negate, "_<_": operators.is_less, "_<=_": operators.is_at_most,
    "_>_": lambda a, b: operators.is_less(b, a), "_>=_": lambda a, b: operators.is_at_most(b, a),
    "@in": operators.is_in, "_[_]": operators.index, "_[?_]": operators.optional_index, "_==_": equal,
    "_!=_": lambda a, b: not equal(a, b), "_?._": operators.optional_select, "cel.@mapInsert": operators.map_insert,
    "size": operators.size, "type": lambda v: TypeName(type_name(v)), "dyn": lambda v: v,
    "bool": operators.to_bool, "bytes": operators.to_bytes, "double": operators.to_double, "int": operators.to_int,
    "string": operators.to_string, "uint": operators.to_uint, "duration": operators.to_duration,
    "timestamp": operators.to_timestamp,
    "contains": lambda s, t: _text(t) in _text(s), "startsWith": lambda s, t: _text(s).startswith(_text(t)),
    "endsWith": lambda s, t: _text(s).endswith(_text(t)),
    "matches": lambda s, t: pattern(_text(t)).search(_text(s)) is not None,
    "charAt": _char_at, "indexOf": _index_of, "lastIndexOf": _last_index_of, "substring": _substring,
    "lowerAscii": lambda s: _text(s).translate(_ASCII_LOWER), "upperAscii": lambda s: _text(s).translate(_ASCII_UPPER),
    "replace": _replace, "split": _split, "trim": lambda s: _text(s).strip(), "join": _join,
    "format": format_string, "strings.quote": quote, "find": _find, "findAll": _find_all,
    "getFullYear": _date_part(lambda t: t.year), "getMonth": _date_part(lambda t: t.month - 1),
    "getDayOfYear": _date_part(lambda t: t.timetuple().tm_yday - 1), "getDate": _date_part(lambda t: t.day),
    "getDayOfMonth": _date_part(lambda t: t.day - 1), "getDayOfWeek": _date_part(lambda t: t.isoweekday() % 7),
    "getHours": _clock_part(3600 * 10**9, lambda t: t.hour),
    "getMinutes": _clock_part(60 * 10**9, lambda t: t.minute),
    "getSeconds": _clock_part(10**9, lambda t: t.second),
    "getMilliseconds": _clock_part(10**6, lambda t: t.microsecond // 1000),
    "optional.of": lambda v: Optional(True, v), "optional.none": lambda: NONE,
    "optional.ofNonZeroValue": lambda v: NONE if _is_zero(v) else Optional(True, v),
    "value": _optional_value, "hasValue": lambda o: o.has, "or": lambda o, p: o if o.has else p,
    "orValue": lambda o, v: o.value if o.has else v,
    "isSorted": _is_sorted,
    "sort": _sort,
    "@sortBy": _sort, "sum": _sum, "min": lambda v: _extreme(v, "min"), "max": lambda v: _extreme(v, "max"),
    "sets.contains": _contains, "sets.equivalent": lambda a, b: _contains(a, b) and _contains(b, a),
    "sets.intersects": lambda a, b: any(contains(a, v) for v in b),
    "slice": _slice, "flatten": _flatten, "distinct": _distinct, "reverse": lambda v: _elements(v)[::-1],
    "lists.range": lambda n: list(range(n)), "first": lambda v: Optional(True, v[0]) if v else NONE,
    "last": lambda v: Optional(True, v[-1]) if v else NONE,
    "url": _url, "isURL": _is(parse_url), "getScheme": lambda u: u.parts.scheme, "getHost": _host,
    "getHostname": _hostname, "getPort": _port, "getEscapedPath": _escaped_path, "getQuery": _query,
    "quantity": _quantity, "isQuantity": _is(parse_quantity),
    "sign": lambda q: (q.amount > 0) - (q.amount < 0), "asInteger": _as_integer,
    "isInteger": lambda q: q.amount == int(q.amount) and INT_MIN <= q.amount <= INT_MAX,
    "asApproximateFloat": lambda q: float(q.amount), "add": _added(1), "sub": _added(-1),
    "isGreaterThan": lambda a, b: _compare(a, b) > 0, "isLessThan": lambda a, b: _compare(a, b) < 0,
    "compareTo": _compare,
    "semver": _semver, "isSemver": _is(parse_semver), "major": lambda s: s.major, "minor": lambda s: s.minor,
    "patch": lambda s: s.patch,
    "ip": _ip, "isIP": _is(_address), "ip.isCanonical": lambda s: str(_ip(s).address) == s,
    "family": lambda i: i.address.version, "isUnspecified": lambda i: i.address.is_unspecified,
    "isLoopback": lambda i: i.address.is_loopback,
    "isLinkLocalUnicast": lambda i: i.address.is_link_local,
    "isLinkLocalMulticast": _is_link_local_multicast, "isGlobalUnicast": _is_global_unicast,
    "cidr": _cidr, "isCIDR": _is(_network), "containsIP": _contains_ip, "containsCIDR": _contains_cidr,
    "prefixLength": lambda c: c.interface.network.prefixlen, "masked": _masked,
    "validate": _validate, "format.named": _named,
    "jsonpatch.escapeKey": lambda s: _text(s).replace("~", "~0").replace("/", "~1"),
    **authorization.FUNCTIONS,
    **{f"format.{name}": functools.partial(lambda f: f, found) for name, found in NAMED_FORMATS.items()},
}  # fmt: skip

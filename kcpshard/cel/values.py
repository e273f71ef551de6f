"""The values of CEL that Python has no type for, and what all values share: equality, order, size.

int, double, string, bytes, bool, null, list and map are int, float, str, bytes, bool, None, list and dict.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, NamedTuple
from urllib.parse import SplitResult

INT_MIN, INT_MAX, UINT_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


class EvalFault(Exception):
    """An expression that has no value. CEL treats it as a value: `||` and `&&` may absorb it."""


class UInt(int):
    """An unsigned integer."""


class Timestamp(NamedTuple):
    """Nanoseconds since the epoch."""

    ns: int


class Duration(NamedTuple):
    ns: int


class Optional(NamedTuple):
    """`optional.of(value)`, or nothing."""

    has: bool
    value: Any = None


NONE = Optional(False)


class Struct(NamedTuple):
    """What `Object.spec{…}` or `JSONPatch{…}` makes."""

    type_name: str
    fields: dict[str, Any]

    def get(self, name: str) -> Optional:
        return Optional(True, self.fields[name]) if name in self.fields else NONE


class Lazy:
    """An object whose fields are found out when they are first asked for; `find` may raise EvalFault."""

    __slots__ = ("_known", "fields", "find")

    def __init__(self, fields: Mapping[str, Any], find: Callable[[str], Any]) -> None:
        self.fields, self.find = fields, find
        self._known: dict[str, Any] = {}

    def get(self, name: str) -> Optional:
        if name not in self._known:
            if name not in self.fields:
                return NONE
            self._known[name] = self.find(name)
        return Optional(True, self._known[name])


class TypeName(NamedTuple):
    """A type as a value: what `type(x)` is."""

    name: str


class Quantity:
    """A resource.Quantity: a decimal number that knows how it was written."""

    __slots__ = ("amount",)

    def __init__(self, amount: Decimal) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.amount == other.amount

    __hash__ = None  # type: ignore[assignment]


class Url(NamedTuple):
    parts: SplitResult
    text: str


class Ip(NamedTuple):
    address: ipaddress.IPv4Address | ipaddress.IPv6Address


class Cidr(NamedTuple):
    """A prefix that keeps the address it was written with."""

    interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface


class Semver(NamedTuple):
    major: int
    minor: int
    patch: int
    pre: tuple[str, ...]
    build: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self.order() == other.order()

    def __hash__(self) -> int:
        return hash(self.order())

    def order(self) -> tuple[Any, ...]:
        pre = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, pre)


class Format(NamedTuple):
    """A named format: what it finds wrong with a string."""

    name: str
    faults: Callable[[str], list[str]]
    max_regex: int


class SetList(list[Any]):
    """A list of type set: order is not compared, `+` adds what is missing."""


class MapList(list[Any]):
    """A list of type map: elements are compared by key, `+` replaces those whose key is there."""

    keys: tuple[str, ...] = ()

    def key(self, element: Any) -> tuple[Any, ...]:
        return tuple(element.get(k) for k in self.keys)


_NUMBERS = (int, float)


def equal(one: Any, two: Any) -> bool:
    """CEL's `==` at run time: numbers by value, other types never equal to one another."""
    kind, other = type(one), type(two)
    if kind is other and kind in _SIMPLE:
        return bool(one == two)
    if isinstance(one, _NUMBERS) and isinstance(two, _NUMBERS) and kind is not bool and other is not bool:
        return bool(one == two)
    if isinstance(one, list) and isinstance(two, list):
        return _lists_equal(one, two)
    if isinstance(one, dict) and isinstance(two, dict):
        return len(one) == len(two) and all(k in two and equal(v, two[k]) for k, v in one.items())
    if kind is not other:
        return False
    if kind is Optional:
        return one.has == two.has and (not one.has or equal(one.value, two.value))
    return bool(one == two)


_SIMPLE = frozenset((str, int, bool, bytes, type(None), Timestamp, Duration))


def _lists_equal(one: list[Any], two: list[Any]) -> bool:
    if len(one) != len(two):
        return False
    if isinstance(one, SetList) or isinstance(two, SetList):
        return all(contains(two, v) for v in one) and all(contains(one, v) for v in two)
    keyed = one if isinstance(one, MapList) else two if isinstance(two, MapList) else None
    if keyed is not None:
        other = two if keyed is one else one
        by_key = {keyed.key(v): v for v in other if isinstance(v, dict)}
        return all(keyed.key(v) in by_key and equal(v, by_key[keyed.key(v)]) for v in keyed)
    return all(map(equal, one, two))


def contains(values: list[Any], wanted: Any) -> bool:
    if type(wanted) is str:
        return wanted in values
    return any(equal(wanted, v) for v in values)


def concatenate(one: list[Any], two: list[Any]) -> list[Any]:
    if isinstance(one, SetList):
        found = SetList(one)
        found.extend(v for v in two if not contains(one, v))
        return found
    if isinstance(one, MapList):
        merged = {one.key(v): v for v in one}
        merged.update({one.key(v): v for v in two})
        keyed = MapList(merged.values())
        keyed.keys = one.keys
        return keyed
    return one + two


def type_name(value: Any) -> str:
    """The type of a value, as error messages and `type()` name it."""
    match value:
        case bool():
            return "bool"
        case UInt():
            return "uint"
        case int():
            return "int"
        case list():
            return "list"
        case dict():
            return "map"
        case Struct():
            return value.type_name
    return _NAMES.get(type(value), type(value).__name__)


_NAMES: dict[type, str] = {
    str: "string", float: "double", bytes: "bytes", type(None): "null_type", Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration", Optional: "optional_type", TypeName: "type", Quantity: "kubernetes.Quantity",
    Url: "kubernetes.URL", Ip: "net.IP", Cidr: "net.CIDR", Semver: "kubernetes.Semver",
    Format: "kubernetes.NamedFormat",
}  # fmt: skip


def size(value: Any) -> int:
    """What a cost is reckoned with: `size()`, and 1 for what has none."""
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    if type(value) is Optional and value.has:
        return size(value.value)
    if type(value) is Cidr:
        return len(value.interface.packed)
    if type(value) is Ip:
        return len(value.address.packed)
    return 1


def traversal(value: Any) -> float:
    """The cost of walking through a value."""
    if isinstance(value, str | bytes):
        return int(len(value) * 0.1)
    if isinstance(value, list):
        return sum(map(traversal, value))
    if isinstance(value, dict):
        return sum(traversal(k) + traversal(v) for k, v in value.items())
    return 1


_RFC3339 = re.compile(r"^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_timestamp(text: str) -> Timestamp:
    match = _RFC3339.match(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _EPOCH
    zone = match.group(8)
    offset = 0
    if zone not in "Zz":
        offset = (int(zone[1:3]) * 60 + int(zone[4:6])) * 60 * (-1 if zone[0] == "-" else 1)
    fraction = int((match.group(7) or "0")[:9].ljust(9, "0"))
    return Timestamp((moment.days * 86400 + moment.seconds - offset) * 10**9 + fraction)


def parse_date(text: str) -> Timestamp:
    return parse_timestamp(f"{text}T00:00:00Z")


def show_timestamp(value: Timestamp) -> str:
    seconds, ns = divmod(value.ns, 10**9)
    plain = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return plain + (f".{ns:09}".rstrip("0") if ns else "") + "Z"


_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"^[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$")
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_WORDS = re.compile(r"^(\d+)\s*([A-Za-z]+)$")
_WORD_UNITS = {
    "nanos": 1, "micros": 10**3, "millis": 10**6, "sec": 10**9, "second": 10**9, "min": 60 * 10**9,
    "minute": 60 * 10**9, "hr": 3600 * 10**9, "hour": 3600 * 10**9, "d": 86400 * 10**9, "day": 86400 * 10**9,
    "w": 604800 * 10**9, "week": 604800 * 10**9, "wk": 604800 * 10**9,
}  # fmt: skip


def parse_duration(text: str) -> Duration:
    """Go's time.ParseDuration."""
    if not _DURATION.match(text):
        raise ValueError(text)
    total = sum(Decimal(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    ns = int(total) * (-1 if text[0] == "-" else 1)
    if not INT_MIN <= ns <= INT_MAX:
        raise ValueError(text)
    return Duration(ns)


def parse_word_duration(text: str) -> Duration:
    """A field of format duration: Go's form, or a number and a word."""
    try:
        return parse_duration(text)
    except ValueError:
        match = _WORDS.match(text.strip())
        unit = match and (
            _WORD_UNITS.get(match.group(2).lower()) or _WORD_UNITS.get(match.group(2).lower().rstrip("s"))
        )
        if not match or not unit:
            raise
        return Duration(int(match.group(1)) * unit)


def show_duration(value: Duration) -> str:
    """As CEL turns a duration into a string: seconds."""
    seconds, ns = divmod(abs(value.ns), 10**9)
    return ("-" if value.ns < 0 else "") + f"{seconds}" + (f".{ns:09}".rstrip("0") if ns else "") + "s"


_QUANTITY = re.compile(
    r"^([+-]?(?:\d+(?:\.\d*)?|\.\d+|(?=[KMGTPEnumk])))((?:[KMGTPE]i)|[numkMGTPE]|(?:[eE][+-]?\d+))?$"
)
_SUFFIXES: dict[str, Decimal | int] = {
    "": 1, "n": Decimal(10) ** -9, "u": Decimal(10) ** -6, "m": Decimal(10) ** -3, "k": 10**3, "M": 10**6, "G": 10**9,
    "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60,
}  # fmt: skip


def parse_quantity(text: str) -> Quantity:
    """resource.ParseQuantity; what is finer than nano is rounded away from zero."""
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(text)
    number, suffix = match.group(1), match.group(2) or ""
    try:
        factor = Decimal(_SUFFIXES[suffix]) if suffix in _SUFFIXES else Decimal(10) ** int(suffix[1:])
        scaled = Decimal(number if number.strip("+-") else 0) * factor
        exponent = scaled.as_tuple().exponent
        is_finer = isinstance(exponent, int) and exponent < -9
        rounded = abs(scaled).quantize(Decimal("1e-9"), ROUND_CEILING) if is_finer else abs(scaled)
    except (InvalidOperation, OverflowError):
        raise ValueError(text) from None
    return Quantity(-rounded if scaled < 0 else rounded)


_SEMVER = re.compile(
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$"
)


def parse_semver(text: str, normalize: bool = False) -> Semver:
    if normalize:
        text = _normalized(text)
    match = _SEMVER.match(text)
    if match is None:
        raise ValueError(text)
    major, minor, patch, pre, build = match.groups()
    parts = (tuple(pre.split(".")) if pre else (), tuple(build.split(".")) if build else ())
    return Semver(int(major), int(minor), int(patch), *parts)


def _normalized(text: str) -> str:
    """Without a leading v and leading zeros, with the missing numbers."""
    text = text.removeprefix("v")
    cut = min((text.index(c) for c in "-+" if c in text), default=len(text))
    numbers, rest = text[:cut].split("."), text[cut:]
    numbers = [n.lstrip("0") or "0" if n.isdigit() else n for n in numbers]
    if len(numbers) < 3 and rest:
        raise ValueError(text)
    return ".".join(numbers + ["0"] * (3 - len(numbers))) + rest

"""Arithmetic, order, conversions and access: what the operators of CEL do with values."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from kcpshard.cel.values import (
    INT_MAX,
    INT_MIN,
    NONE,
    UINT_MAX,
    Cidr,
    Duration,
    EvalFault,
    Ip,
    Lazy,
    Optional,
    Struct,
    Timestamp,
    UInt,
    concatenate,
    contains,
    parse_duration,
    parse_timestamp,
    show_duration,
    show_timestamp,
)  # fmt: skip

_TIME_MIN, _TIME_MAX = -62135596800 * 10**9, 253402300799 * 10**9 + 999_999_999


def no_overload(*_: Any) -> Any:
    raise EvalFault("no such overload")


def _int(value: int, what: str = "integer") -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise EvalFault(f"{what} overflow")
    return value


def _uint(value: int) -> UInt:
    if not 0 <= value <= UINT_MAX:
        raise EvalFault("unsigned integer overflow")
    return UInt(value)


def _timestamp(ns: int) -> Timestamp:
    if not _TIME_MIN <= ns <= _TIME_MAX:
        raise EvalFault("timestamp overflow")
    return Timestamp(ns)


def _duration(ns: int) -> Duration:
    return Duration(_int(ns, "duration"))


def add(one: Any, two: Any) -> Any:
    kinds = (type(one), type(two))
    if kinds == (int, int):
        return _int(one + two)
    if kinds in ((str, str), (float, float), (bytes, bytes)):
        return one + two
    if isinstance(one, list) and isinstance(two, list):
        return concatenate(one, two)
    if kinds == (UInt, UInt):
        return _uint(int(one) + int(two))
    if kinds == (Duration, Duration):
        return _duration(one.ns + two.ns)
    if kinds in ((Timestamp, Duration), (Duration, Timestamp)):
        return _timestamp(one.ns + two.ns)
    return no_overload()


def subtract(one: Any, two: Any) -> Any:
    kinds = (type(one), type(two))
    if kinds == (int, int):
        return _int(one - two)
    if kinds == (float, float):
        return one - two
    if kinds == (UInt, UInt):
        return _uint(int(one) - int(two))
    if kinds in ((Duration, Duration), (Timestamp, Timestamp)):
        return _duration(one.ns - two.ns)
    if kinds == (Timestamp, Duration):
        return _timestamp(one.ns - two.ns)
    return no_overload()


def multiply(one: Any, two: Any) -> Any:
    kinds = (type(one), type(two))
    if kinds == (int, int):
        return _int(one * two)
    if kinds == (float, float):
        return one * two
    return _uint(int(one) * int(two)) if kinds == (UInt, UInt) else no_overload()


def divide(one: Any, two: Any) -> Any:
    kinds = (type(one), type(two))
    if kinds == (float, float):
        if two == 0:
            return math.nan if one == 0 or one != one else math.copysign(math.inf, one) * math.copysign(1, two)
        return one / two
    if kinds not in ((int, int), (UInt, UInt)):
        return no_overload()
    if two == 0:
        raise EvalFault("division by zero")
    quotient = abs(int(one)) // abs(int(two))
    return UInt(quotient) if kinds[0] is UInt else _int(quotient if (one < 0) == (two < 0) else -quotient)


def modulo(one: Any, two: Any) -> Any:
    kinds = (type(one), type(two))
    if kinds not in ((int, int), (UInt, UInt)):
        return no_overload()
    if two == 0:
        raise EvalFault("modulus by zero")
    rest = abs(int(one)) % abs(int(two))
    return UInt(rest) if kinds[0] is UInt else (-rest if one < 0 else rest)


def negate(value: Any) -> Any:
    if type(value) is float:
        return -value
    return _int(-value) if type(value) is int else no_overload()


def is_less(one: Any, two: Any) -> bool:
    kind, other = type(one), type(two)
    if kind is other and kind in _ORDERED:
        return bool(one < two)
    if kind in _NUMBERS and other in _NUMBERS:
        return bool(one < two)
    return bool(no_overload())


def is_at_most(one: Any, two: Any) -> bool:
    kind, other = type(one), type(two)
    if (kind is other and kind in _ORDERED) or (kind in _NUMBERS and other in _NUMBERS):
        return bool(one <= two)
    return bool(no_overload())


_NUMBERS = frozenset((int, UInt, float))
_ORDERED = frozenset((int, UInt, float, str, bytes, bool, Timestamp, Duration))


def is_in(wanted: Any, container: Any) -> bool:
    if isinstance(container, list):
        return contains(container, wanted)
    if isinstance(container, dict):
        return hashable(wanted) and wanted in container
    return bool(no_overload())


def hashable(value: Any) -> bool:
    return type(value) in (str, int, bool, UInt)


def index(container: Any, key: Any) -> Any:
    if isinstance(container, dict):
        if type(key) is float and key.is_integer():
            key = int(key)
        try:
            return container[key]
        except (KeyError, TypeError):
            raise EvalFault(f"no such key: {show_key(key)}") from None
    if isinstance(container, list):
        if type(key) is float and key.is_integer():
            key = int(key)
        if not isinstance(key, int) or isinstance(key, bool):
            return no_overload()
        if not 0 <= key < len(container):
            raise EvalFault(f"index out of bounds: {key}")
        return container[key]
    if type(container) is Optional:
        return Optional(True, index(container.value, key)) if optional_index(container, key).has else NONE
    return no_overload()


def optional_index(container: Any, key: Any) -> Optional:
    if type(container) is Optional:
        if not container.has:
            return NONE
        container = container.value
    if isinstance(container, dict):
        return Optional(True, container[key]) if hashable(key) and key in container else NONE
    if isinstance(container, list) and isinstance(key, int):
        return Optional(True, container[key]) if 0 <= key < len(container) else NONE
    return NONE


def show_key(key: Any) -> str:
    return to_string(key) if isinstance(key, str | int | float) else str(key)


def select(container: Any, field: str) -> Any:
    """`container.field` of a value whose type was not known before."""
    if type(container) is dict:
        if field in container:
            return container[field]
        raise EvalFault(f"no such key: {field}")
    if type(container) is Optional:
        return optional_select(container, field)
    if type(container) is Struct or type(container) is Lazy:
        found = container.get(field)
        if found.has:
            return found.value
    if isinstance(container, list):
        raise EvalFault("unsupported index type 'string' in list")
    raise EvalFault(f"no such key: {field}")


def optional_select(container: Any, field: str) -> Optional:
    if type(container) is Optional:
        if not container.has:
            return NONE
        container = container.value
    if isinstance(container, dict):
        return Optional(True, container[field]) if field in container else NONE
    if type(container) is Struct or type(container) is Lazy:
        return container.get(field)
    return Optional(bool(no_overload()))


def to_string(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return int.__repr__(value)
        case float():
            return show_double(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise EvalFault("invalid UTF-8 in bytes, cannot convert to string") from None
        case Timestamp():
            return show_timestamp(value)
        case Duration():
            return show_duration(value)
        case Ip():
            return str(value.address)
        case Cidr():
            return str(value.interface)
    return str(no_overload())


def show_double(value: float) -> str:
    """Go's %g with the shortest digits."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    exponent = math.floor(math.log10(abs(value))) if value else 0
    if -5 < exponent < 21:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    mantissa, _, power = repr(value).partition("e")
    if not power:
        mantissa, _, power = f"{value:e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
    sign, digits = ("-" if power[0] == "-" else "+"), power.lstrip("+-").zfill(2)
    return f"{mantissa.removesuffix('.0')}e{sign}{digits}"


def to_int(value: Any) -> int:
    match value:
        case bool():
            return int(no_overload())
        case int():
            return _int(int(value))
        case float():
            if value != value or not -9.223372036854775e18 < value < 9.223372036854775e18:
                raise EvalFault("integer overflow")
            return int(value)
        case str():
            return _parsed(value, "int")
        case Timestamp():
            return value.ns // 10**9
        case Duration():
            return value.ns
    return int(no_overload())


def _parsed(text: str, kind: str) -> int:
    digits = text.removeprefix("-").removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        raise EvalFault(f"type conversion error from 'string' to '{kind}'")
    return _int(int(text))


def to_uint(value: Any) -> UInt:
    match value:
        case bool():
            return UInt(no_overload())
        case int():
            return _uint(int(value))
        case float():
            if value != value or not 0 <= value < 1.8446744073709552e19:
                raise EvalFault("unsigned integer overflow")
            return UInt(int(value))
        case str():
            if not value.isascii() or not value.isdigit():
                raise EvalFault("type conversion error from 'string' to 'uint'")
            return _uint(int(value))
    return UInt(no_overload())


def to_double(value: Any) -> float:
    if isinstance(value, bool):
        return float(no_overload())
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            if "_" in value or value != value.strip():
                raise ValueError
            return float(value)
        except ValueError:
            raise EvalFault("type conversion error from 'string' to 'double'") from None
    return float(no_overload())


_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value not in _BOOLEANS:
            raise EvalFault("type conversion error from 'string' to 'bool'")
        return _BOOLEANS[value]
    return bool(no_overload())


def to_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else bytes(no_overload())


def _converter(kind: type, name: str, parse: Callable[[str], Any], made: Callable[[int], Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if type(value) is kind:
            return value
        if isinstance(value, str):
            try:
                return parse(value)
            except (ValueError, OverflowError):
                raise EvalFault(f"type conversion error from 'string' to '{name}'") from None
        return made(value) if type(value) is int else no_overload()

    return convert


to_timestamp = _converter(
    Timestamp, "google.protobuf.Timestamp", parse_timestamp, lambda seconds: _timestamp(seconds * 10**9)
)
to_duration = _converter(Duration, "google.protobuf.Duration", parse_duration, _duration)


def size(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | dict) else int(no_overload())


def map_insert(into: dict[Any, Any], *entry: Any) -> dict[Any, Any]:
    more = {entry[0]: entry[1]} if len(entry) == 2 else entry[0]
    for key in more:
        if key in into:
            raise EvalFault(f"insert failed: key {show_key(key)} already exists")
    return {**into, **more}

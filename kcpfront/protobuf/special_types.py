"""Types whose JSON is not the shape of their message: times, quantities, int-or-string, raw JSON. Pure.

Each has two functions: JSON value → the message's bytes, and back. The tables ENCODERS and DECODERS name them by
message. metav1.Duration is in no built-in kind and is not here; RawExtension is decoded by `decoding`, as it may hold
protobuf again.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

import orjson

from kcpfront.protobuf.facts import META
from kcpfront.protobuf.wire import MalformedProtobuf, delimited, iterate, raw_fields, signed, varint

_EXTENSIONS = "apiextensions-apiserver/pkg/apis/apiextensions/v1."
TIME, MICRO_TIME = f"{META}Time", f"{META}MicroTime"
QUANTITY, INT_OR_STRING = "apimachinery/pkg/api/resource.Quantity", "apimachinery/pkg/util/intstr.IntOrString"
RAW_EXTENSION, FIELDS, JSON = "apimachinery/pkg/runtime.RawExtension", f"{META}FieldsV1", f"{_EXTENSIONS}JSON"
PROPS = f"{_EXTENSIONS}JSONSchemaProps"
PROPS_OR_BOOL, PROPS_OR_ARRAY = f"{PROPS}OrBool", f"{PROPS}OrArray"
PROPS_OR_STRINGS = f"{PROPS}OrStringArray"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND, _MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)

Json = Any
Encode = Callable[[Json], bytes]
Decode = Callable[[bytes], Json]
_Key = TypeVar("_Key", str, bytes)
_Value = TypeVar("_Value")

_MAX_REMEMBERED = 64  # bytes or characters: clients choose these values, and caches are to stay small


def _remembered(entries: int) -> Callable[[Callable[[_Key], _Value]], Callable[[_Key], _Value]]:
    """Keep the results for short values: objects share few moments, quantities and ports."""

    def decorate(function: Callable[[_Key], _Value]) -> Callable[[_Key], _Value]:
        kept = lru_cache(entries)(function)

        def call(value: _Key) -> _Value:
            return kept(value) if len(value) <= _MAX_REMEMBERED else function(value)

        return call

    return decorate


@_remembered(4096)
def encode_time(text: str) -> bytes:
    """Whole seconds, as kube-apiserver writes them."""
    return _timestamp((_parsed(text) - _EPOCH) // _SECOND, 0)


@_remembered(1024)
def encode_micro_time(text: str) -> bytes:
    since = _parsed(text) - _EPOCH
    return _timestamp(since // _SECOND, since % _SECOND // _MICROSECOND * 1000)


def _parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _timestamp(seconds: int, nanoseconds: int) -> bytes:
    return b"\x08" + varint(seconds) + b"\x10" + varint(nanoseconds)


@_remembered(4096)
def _time(data: bytes) -> str | None:
    found = _moment(data)
    return None if found is None else found.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


@_remembered(1024)
def _micro_time(data: bytes) -> str | None:
    found = _moment(data)
    return None if found is None else found.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _moment(data: bytes) -> datetime | None:
    raw = raw_fields(data)
    seconds, nanoseconds = signed(_integer(raw.get(1, 0))), signed(_integer(raw.get(2, 0)))
    if not seconds and not nanoseconds:
        return None  # an unset time
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    except OverflowError:
        raise MalformedProtobuf("year is not in the range [1, 9999]") from None


def encode_quantity(value: str | float) -> bytes:
    return delimited(1, str(value).encode())


def encode_int_or_string(value: int | str) -> bytes:
    """All three fields, as Go writes them."""
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + delimited(3, value.encode())
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


@_remembered(1024)
def _int_or_string(data: bytes) -> int | str:
    raw = raw_fields(data)
    return text(_bytes(raw.get(3, b""))) if raw.get(1, 0) else _int32(_integer(raw.get(2, 0)))


def _int32(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value


@_remembered(4096)
def _quantity(data: bytes) -> str:
    return text(_bytes(raw_fields(data).get(1, b""))) or "0"


def _encode_json(value: Json) -> bytes:
    return delimited(1, orjson.dumps(value))


def _json(data: bytes) -> Json:
    raw = raw_bytes(data)
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError as error:
        raise MalformedProtobuf(f"invalid JSON in a raw field: {error}") from None


def raw_bytes(data: bytes) -> bytes:
    """What a message around raw bytes holds."""
    return _bytes(raw_fields(data).get(1, b""))


def _integer(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise MalformedProtobuf("proto: wrong wireType = 2")
    return value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise MalformedProtobuf("proto: wrong wireType = 0")
    return value


def text(data: bytes) -> str:
    """A string as Go's JSON encoder would show it: what is not UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", "replace")


ENCODERS: dict[str, Encode] = {
    TIME: encode_time,
    MICRO_TIME: encode_micro_time,
    QUANTITY: encode_quantity,
    INT_OR_STRING: encode_int_or_string,
    RAW_EXTENSION: _encode_json,
    FIELDS: _encode_json,
    JSON: _encode_json,
}
DECODERS: dict[str, Decode] = {
    TIME: _time,
    MICRO_TIME: _micro_time,
    QUANTITY: _quantity,
    INT_OR_STRING: _int_or_string,
    FIELDS: _json,
    JSON: _json,
}
SCHEMA_TYPES = frozenset({PROPS_OR_BOOL, PROPS_OR_ARRAY, PROPS_OR_STRINGS})


def schema_encoder(message: str, encode: Encode) -> Encode:
    """JSONSchemaPropsOrBool, …OrArray and …OrStringArray, with JSONSchemaProps written by `encode`."""

    def or_bool(value: Json) -> bytes:
        if isinstance(value, bool):
            return b"\x08\x01" if value else b"\x08\x00"
        return b"\x08\x01" + delimited(2, encode(value))

    def or_array(value: Json) -> bytes:
        if isinstance(value, list):
            return b"".join([delimited(2, encode(item)) for item in value])
        return delimited(1, encode(value))

    def or_strings(value: Json) -> bytes:
        if isinstance(value, list):
            return b"".join([delimited(2, item.encode()) for item in value])
        return delimited(1, encode(value))

    return {PROPS_OR_BOOL: or_bool, PROPS_OR_ARRAY: or_array, PROPS_OR_STRINGS: or_strings}[message]


def schema_decoder(message: str, decode: Decode) -> Decode:
    """The reverse, with JSONSchemaProps read by `decode`."""

    def or_bool(data: bytes) -> Json:
        raw = raw_fields(data)
        return decode(_bytes(raw[2])) if 2 in raw else bool(raw.get(1, 0))

    def or_others(data: bytes) -> Json:
        single = raw_fields(data).get(1)
        if single is not None:
            return decode(_bytes(single))
        read = text if message == PROPS_OR_STRINGS else decode
        return [read(_bytes(item)) for number, item in iterate(data) if number == 2]

    return or_bool if message == PROPS_OR_BOOL else or_others

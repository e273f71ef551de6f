"""The protobuf wire format: varints, field keys, length-delimited pieces. Pure; knows no message."""

from collections.abc import Iterator
from functools import cache

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10

_EOF = "unexpected EOF"


class MalformedProtobuf(ValueError):
    """The bytes are no protobuf of the expected shape. The text follows kube-apiserver's."""


def varint(value: int) -> bytes:
    """Negative numbers as 64-bit two's complement, as protobuf's int32 and int64 are."""
    if 0 <= value < 128:
        return _SHORT[value]
    if value < 0:
        value += 1 << 64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_SHORT = [bytes((n,)) for n in range(128)]


def field_key(number: int, wire_type: int) -> int:
    return number << 3 | wire_type


def delimited(number: int, data: bytes) -> bytes:
    """One length-delimited field."""
    return varint(field_key(number, LENGTH)) + varint(len(data)) + data


@cache  # shared by thousands of fields
def heads(number: int) -> list[bytes]:
    """Key and length of a length-delimited field, for each length of one byte."""
    key = varint(field_key(number, LENGTH))
    return [key + length for length in _SHORT]


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The value and where it ends. Raises MalformedProtobuf."""
    value = shift = 0
    for index in range(at, at + _MAX_VARINT_BYTES):
        if index >= len(data):
            raise MalformedProtobuf(_EOF)
        byte = data[index]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, index + 1
        shift += 7
    raise MalformedProtobuf("proto: integer overflow")


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def read_length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Where a length-delimited piece begins and ends, both within `end`. Raises MalformedProtobuf."""
    length, begin = read_varint(data, at)
    if begin + length > end:
        raise MalformedProtobuf(_EOF)
    return begin, begin + length


def skip(data: bytes, at: int, end: int, wire_type: int) -> int:
    """Where an unknown field that is not length-delimited ends. Raises MalformedProtobuf."""
    if wire_type == VARINT:
        at = read_varint(data, at)[1]
    elif wire_type in (FIXED64, FIXED32):
        at += 8 if wire_type == FIXED64 else 4
    else:
        raise MalformedProtobuf(f"proto: illegal wireType {wire_type}")
    if at > end:
        raise MalformedProtobuf(_EOF)
    return at


def iterate(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: a varint or the bytes of a piece; fixed ones are passed over."""
    at, end = 0, len(data)
    while at < end:
        key, at = read_varint(data, at)
        wire_type = key & 7
        if wire_type == LENGTH:
            begin, at = read_length(data, at, end)
            yield key >> 3, data[begin:at]
        elif wire_type == VARINT:
            value, at = read_varint(data, at)
            yield key >> 3, value
        else:
            at = skip(data, at, end, wire_type)


def raw_fields(data: bytes) -> dict[int, int | bytes]:
    """The last value of each field."""
    return dict(iterate(data))

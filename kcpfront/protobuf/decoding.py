"""Protobuf messages → JSON values: one closure per field, made once per message when a kind is first used. Pure.

The JSON is what client-go would have sent as JSON: a zero value on the wire (Go clients write every field that is not a
pointer) is left out where the API type leaves it out. Unknown fields are passed over.
"""

import struct
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from kcpfront.protobuf import envelope, facts
from kcpfront.protobuf.facts import Field
from kcpfront.protobuf.special_types import (
    DECODERS,
    JSON,
    PROPS,
    RAW_EXTENSION,
    SCHEMA_TYPES,
    raw_bytes,
    schema_decoder,
    text,
)
from kcpfront.protobuf.wire import (
    FIXED64,
    LENGTH,
    VARINT,
    MalformedProtobuf,
    field_key,
    read_length,
    read_varint,
    signed,
    skip,
)

Json = Any
Decode = Callable[[bytes], Json]
_Take = Callable[[dict[str, Json], Any], None]  # puts one field's bytes or varint into the object
_Takers = dict[int, _Take]


class MalformedMessage(MalformedProtobuf):
    """The envelope can be read and names a known kind, but the message within is broken."""

    def __init__(self, api_version: str, kind: str, text: str) -> None:
        super().__init__(text)
        self.api_version, self.kind = api_version, kind


@cache
def decoder(message: str) -> Decode:
    """The message's bytes → JSON value. Raises MalformedProtobuf."""
    if message in DECODERS:
        return DECODERS[message]
    if message == RAW_EXTENSION:
        return _decode_extension
    if message in SCHEMA_TYPES:
        return schema_decoder(message, lambda data: decoder(PROPS)(data))
    decode = _message_decoder(message)
    if facts.is_list(message):
        return lambda data: decode(data).get("items", [])
    return decode


def _message_decoder(message: str) -> Decode:
    takers: _Takers = {}
    pending = [message]

    def decode(data: bytes) -> Json:
        # Fields on the first use, not before: messages refer to themselves.
        if pending:
            takers.update(_takers(pending.pop()))
        found: dict[str, Json] = {}
        _read(data, takers, found)
        return found

    return decode


def _read(data: bytes, takers: _Takers, found: dict[str, Json]) -> None:
    """The loop over a message's fields. Keys and lengths of one byte, the most frequent, without a call."""
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        if key < 128:
            at += 1
        else:
            key, at = read_varint(data, at)
        if key & 7 == LENGTH:
            if at < end and data[at] < 128:
                begin, at = at + 1, at + 1 + data[at]
                if at > end:
                    raise MalformedProtobuf("unexpected EOF")
            else:
                begin, at = read_length(data, at, end)
            if (take := takers.get(key)) is not None:
                take(found, data[begin:at])
        elif key & 7 == VARINT:
            value, at = read_varint(data, at)
            if (take := takers.get(key)) is not None:
                take(found, value)
        else:
            begin, at = at, skip(data, at, end, key & 7)
            if (take := takers.get(key)) is not None:
                take(found, data[begin:at])


def _takers(message: str) -> _Takers:
    found: _Takers = {}
    for field in facts.fields(message):
        read = _reader(field.type)
        found[field_key(field.number, read.wire_type)] = _taker(field, read)
        if field.repeated and read.wire_type == VARINT:
            found[field_key(field.number, LENGTH)] = _packed_taker(field, read)
    return found


class _Reader(NamedTuple):
    wire_type: int
    decode: Callable[[Any], Json]
    zero: Json  # as JSON


def _reader(type_: str) -> _Reader:
    if type_ == "string":
        return _Reader(LENGTH, text, "")
    if type_ == "bytes":
        return _Reader(LENGTH, lambda data: b64encode(data).decode(), "")
    if type_ == "int":
        return _Reader(VARINT, signed, 0)
    if type_ == "bool":
        return _Reader(VARINT, bool, False)
    if type_ == "double":
        return _Reader(FIXED64, lambda data: struct.unpack("<d", data)[0], 0.0)
    # Looked up when used: messages refer to themselves.
    special = DECODERS.get(type_)
    return _Reader(LENGTH, special or (lambda data: decoder(type_)(data)), None)


def _taker(field: Field, read: _Reader) -> _Take:
    name, decode = field.name, read.decode
    if field.inline:
        return lambda found, raw: found.update(decode(raw))
    if field.map:
        return _map_taker(name, field.type)
    if field.repeated:
        return lambda found, raw: found.setdefault(name, []).append(decode(raw))
    if field.omits_zero or read.zero is None:
        return _unless_zero(name, decode, _left_out(field, read))

    def take(found: dict[str, Json], raw: Any) -> None:
        found[name] = decode(raw)

    return take


def _left_out(field: Field, read: _Reader) -> tuple[Json, ...]:
    if read.zero is not None:
        return (read.zero,)
    return (None, {}) if field.omits_empty else (None,)


def _unless_zero(name: str, decode: Callable[[Any], Json], left_out: tuple[Json, ...]) -> _Take:
    def take(found: dict[str, Json], raw: Any) -> None:
        value = decode(raw)
        if value not in left_out:
            found[name] = value
        else:
            found.pop(name, None)

    return take


def _packed_taker(field: Field, read: _Reader) -> _Take:
    def take(found: dict[str, Json], raw: bytes) -> None:
        values, at = found.setdefault(field.name, []), 0
        while at < len(raw):
            value, at = read_varint(raw, at)
            values.append(read.decode(value))

    return take


def _map_taker(name: str, type_: str) -> _Take:
    read = _reader(type_)
    zero = read.zero if read.zero is not None else None
    takers: _Takers = {
        field_key(1, LENGTH): lambda entry, raw: entry.__setitem__("key", text(raw)),
        field_key(2, read.wire_type): lambda entry, raw: entry.__setitem__("value", read.decode(raw)),
    }

    def take(found: dict[str, Json], raw: bytes) -> None:
        entry: dict[str, Json] = {}
        _read(raw, takers, entry)
        if "value" not in entry:
            entry["value"] = zero if zero is not None else read.decode(b"")
        found.setdefault(name, {})[entry.get("key", "")] = entry["value"]

    return take


def _decode_extension(data: bytes) -> Json:
    """Any object: as JSON, or as protobuf in an envelope of its own."""
    raw = raw_bytes(data)
    return decode_object(raw) if raw.startswith(envelope.PREFIX) else DECODERS[JSON](data)


def decode_object(data: bytes, default: facts.ResourceKind | None = None) -> dict[str, Json]:
    """An object in its envelope; without a kind it is of the `default` one.

    A kind without a known message gives apiVersion and kind only: what is wrong with it, the shard says. Raises
    MalformedProtobuf.
    """
    api_version, kind, message = envelope.read(data)
    if not kind and default is not None:
        api_version, kind = default
    found: dict[str, Json] = {"kind": kind, "apiVersion": api_version}
    if name := facts.message_of(api_version, kind):
        try:
            found.update(decoder(name)(message))
        except MalformedProtobuf as error:
            raise MalformedMessage(api_version, kind, str(error)) from None
        except RecursionError:
            raise MalformedMessage(api_version, kind, "exceeded max depth") from None
    return found

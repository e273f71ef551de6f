"""JSON values → protobuf messages: one closure per field, made once per message when a kind is first used. Pure.

Written is what the JSON holds, in its order: a decoder takes an absent field for its zero value, as Go does. Null means
absent. Names that the message does not know are left out.
"""

import struct
from binascii import a2b_base64
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from kcpfront.protobuf import facts
from kcpfront.protobuf.facts import Field
from kcpfront.protobuf.special_types import ENCODERS, PROPS, SCHEMA_TYPES, schema_encoder
from kcpfront.protobuf.wire import FIXED64, VARINT, delimited, field_key, heads, varint

Encode = Callable[[Any], bytes]


class _Inline(NamedTuple):
    names: frozenset[str]
    encode: Encode


@cache
def encoder(message: str) -> Encode:
    """JSON value → the message's bytes. Raises TypeError, ValueError or AttributeError for JSON of another shape."""
    if message in ENCODERS:
        return ENCODERS[message]
    if message in SCHEMA_TYPES:
        return schema_encoder(message, lambda value: encoder(PROPS)(value))
    if facts.is_list(message):
        return _field_encoder(facts.fields(message)[0])
    if any(field.inline for field in facts.fields(message)):
        return _with_inline(message)
    return _plain(message)


def _plain(message: str) -> Encode:
    fields: dict[str, Encode] = {}
    pending = [message]

    def encode(value: dict[str, Any]) -> bytes:
        # Fields on the first use, not before: messages refer to themselves.
        if pending:
            fields.update({field.name: _field_encoder(field) for field in facts.fields(pending.pop())})
        parts = []
        for name, item in value.items():
            if item is not None and (write := fields.get(name)) is not None:
                parts.append(write(item))
        return b"".join(parts)

    return encode


def _with_inline(message: str) -> Encode:
    """Some fields of the JSON belong into messages of their own."""
    own = {field.name: _field_encoder(field) for field in facts.fields(message) if not field.inline}
    inline = [_Inline(json_names(f.type), _field_encoder(f)) for f in facts.fields(message) if f.inline]

    def encode(value: dict[str, Any]) -> bytes:
        parts = []
        for name, item in value.items():
            if item is not None and (write := own.get(name)) is not None:
                parts.append(write(item))
        for names, write in inline:
            if not names.isdisjoint(value):
                parts.append(write({name: item for name, item in value.items() if name in names}))
        return b"".join(parts)

    return encode


@cache
def json_names(message: str) -> frozenset[str]:
    """The names a message's fields have in JSON, inline ones included."""
    found: set[str] = set()
    for field in facts.fields(message):
        found |= json_names(field.type) if field.inline else {field.name}
    return frozenset(found)


def _field_encoder(field: Field) -> Encode:
    if field.map:
        return _map_encoder(field)
    one = _value_encoder(field.number, field.type)
    if not field.repeated:
        return one
    return lambda items: b"".join([one(item) for item in items])


def _value_encoder(number: int, type_: str) -> Encode:
    if type_ == "string":
        return _string_encoder(number)
    if type_ == "int":
        head = varint(field_key(number, VARINT))
        return lambda value: head + varint(value)
    if type_ == "bool":
        no = varint(field_key(number, VARINT)) + b"\x00"
        yes = no[:-1] + b"\x01"
        return lambda value: yes if value else no
    if type_ == "double":
        key = varint(field_key(number, FIXED64))
        return lambda value: key + struct.pack("<d", value)
    if type_ == "bytes":
        return _piece_encoder(number, a2b_base64)
    return _piece_encoder(number, encoder(type_))


def _string_encoder(number: int) -> Encode:
    short = heads(number)

    def encode(value: str) -> bytes:
        data = value.encode()
        size = len(data)
        return short[size] + data if size < 128 else delimited(number, data)

    return encode


def _piece_encoder(number: int, inner: Encode) -> Encode:
    short = heads(number)

    def encode(value: Any) -> bytes:
        data = inner(value)
        size = len(data)
        return short[size] + data if size < 128 else delimited(number, data)

    return encode


def _map_encoder(field: Field) -> Encode:
    """Entries are messages with the key as field 1 and the value as field 2. A null value is the type's zero."""
    key, value = _string_encoder(1), _value_encoder(2, field.type)
    number, short = field.number, heads(field.number)

    def encode(entries: dict[str, Any]) -> bytes:
        parts = []
        for name, item in entries.items():
            data = key(name) if item is None else key(name) + value(item)
            size = len(data)
            parts.append(short[size] + data if size < 128 else delimited(number, data))
        return b"".join(parts)

    return encode

"""OpenAPI documents in the protobuf form that older clients ask for: JSON in, protobuf out. Pure, and slow.

Which field has which number is in `data/openapi.jsonl` (scripts/generate_openapi_protobuf.py). Messages follow the
document, but for three things: a JSON object with free keys is a list of named values; where the document has one of
several shapes, a message says which; and values of any shape are YAML, of which JSON is a part.
"""

import struct
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from kcpshard.workers.process import Ask

_FACTS = Path(__file__).parent / "data" / "openapi.jsonl"
_EXTENSIONS = frozenset(("vendorExtension", "specificationExtension"))


class _Field(NamedTuple):
    name: str  # in JSON
    number: int
    type: str
    repeated: bool


class _Message(NamedTuple):
    fields: tuple[_Field, ...]
    chooses: bool  # exactly one of the fields
    named: frozenset[str]  # keys that are fields
    has_extensions: bool


@cache
def _messages() -> Mapping[str, _Message]:
    found = {}
    for line in map(orjson.loads, _FACTS.read_bytes().splitlines()):
        fields = tuple(_Field(*field) for field in line["fields"])
        names = frozenset(f.name for f in fields if not _is_named(f))
        found[line["message"]] = _Message(fields, "oneof" in line, names, any(f.name in _EXTENSIONS for f in fields))
    return found


def encoded(document: bytes) -> bytes:
    """The document, version 2 or 3 by what it says of itself."""
    value = orjson.loads(document)
    return _message("v2.Document" if "swagger" in value else "v3.Document", value)


def encode_job(payload: bytes, _ask: Ask) -> bytes:
    """`encoded`, as worker processes run it."""
    return encoded(payload)


def _message(name: str, value: Any) -> bytes:
    if name.endswith(".Any"):
        return _text(2, orjson.dumps(value) + b"\n")
    message = _messages()[name]
    if message.chooses:
        chosen = _chosen(name, value)
        return b"".join(_field(f, value, keep=True) for f in message.fields if f.name == chosen)
    if len(message.fields) == 1 and not _is_named(message.fields[0]):
        # A wrapper around a list, which the document may write as its only element.
        (only,) = message.fields
        if only.repeated:
            return b"".join(_field(only, item) for item in (value if isinstance(value, list) else [value]))
    parts = []
    for field in message.fields:
        if _is_named(field):
            parts += [_named(field, key, value[key]) for key in value if _belongs(message, field, key)]
        elif field.name in value and value[field.name] is not None:
            given = value[field.name]
            if field.repeated:
                parts += [_field(field, item, keep=True) for item in given]
            else:
                parts.append(_field(field, given))
    return b"".join(parts)


def _is_named(field: _Field) -> bool:
    return field.repeated and field.type.partition(".")[2].startswith("Named")


def _belongs(message: _Message, field: _Field, key: str) -> bool:
    is_extension = message.has_extensions and key.startswith("x-")
    return is_extension if field.name in _EXTENSIONS else not is_extension and key not in message.named


def _named(field: _Field, key: str, value: Any) -> bytes:
    type_ = next(f for f in _messages()[field.type].fields if f.name == "value")
    return _block(field.number, _text(1, key.encode()) + _field(type_, value))


def _field(field: _Field, value: Any, keep: bool = False) -> bytes:
    """`keep`: also a zero, which a field of its own would leave out: in a list, or as the one shape of several."""
    if field.type == "string":
        return _text(field.number, str(value).encode()) if value != "" or keep else b""
    if field.type == "bool":
        return _tag(field.number, 0) + bytes([value]) if value or keep else b""
    if field.type == "double":
        return _tag(field.number, 1) + struct.pack("<d", value) if value or keep else b""
    if field.type == "int64":
        return _tag(field.number, 0) + _varint(int(value) & 0xFFFFFFFFFFFFFFFF) if value or keep else b""
    if field.type == "v3.DefaultType" and isinstance(value, dict | list):
        return _block(field.number, b"")  # has no form for it
    return _block(field.number, _message(field.type, value))


def _text(number: int, value: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(value)) + value


_block = _text


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


# --- which of several shapes


def _chosen(name: str, value: Any) -> str:
    """The JSON name of the field."""
    if name.endswith("OrReference"):
        return "reference" if "$ref" in value else _lower(name.partition(".")[2].removesuffix("OrReference"))
    return _CHOICES[name](value)


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _scalar(value: Any) -> str:
    return "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"


_PLACES = {
    "header": "headerParameterSubSchema", "formData": "formDataParameterSubSchema",
    "query": "queryParameterSubSchema", "path": "pathParameterSubSchema",
}  # fmt: skip
_FLOWS = {
    "implicit": "oauth2ImplicitSecurity", "password": "oauth2PasswordSecurity",
    "application": "oauth2ApplicationSecurity", "accessCode": "oauth2AccessCodeSecurity",
}  # fmt: skip


def _security(value: Any) -> str:
    if value["type"] == "oauth2":
        return _FLOWS[value["flow"]]
    return "basicAuthenticationSecurity" if value["type"] == "basic" else "apiKeySecurity"


_CHOICES: Mapping[str, Callable[[Any], str]] = {
    "v2.AdditionalPropertiesItem": lambda value: "boolean" if isinstance(value, bool) else "schema",
    "v2.NonBodyParameter": lambda value: _PLACES[value["in"]],
    "v2.Parameter": lambda value: "bodyParameter" if value["in"] == "body" else "nonBodyParameter",
    "v2.ParametersItem": lambda value: "jsonReference" if "$ref" in value else "parameter",
    "v2.ResponseValue": lambda value: "jsonReference" if "$ref" in value else "response",
    "v2.SchemaItem": lambda value: "fileSchema" if value.get("type") == "file" else "schema",
    "v2.SecurityDefinitionsItem": _security,
    "v3.AdditionalPropertiesItem": lambda value: "boolean" if isinstance(value, bool) else "schemaOrReference",
    "v3.AnyOrExpression": lambda _value: "any",
    "v3.DefaultType": _scalar,
    "v3.SpecificationExtension": _scalar,
}

"""A submitted object against the schema of its kind, as Go reads it: wrong types, unknown fields, zero values.

kube-apiserver decodes JSON into Go structs and stores what those structs encode to. This pass does the same to a
decoded object, in place: a wrong type is refused in encoding/json's words, unknown fields are collected and dropped,
nulls and empty optional fields go, fields that Go always writes appear, and quantities, times and base64 take their
canonical form.
"""

import base64
from collections.abc import Callable
from typing import Any

from kcpshard.definitions.contract import Object
from kcpshard.definitions.facts import META, Schema, definition
from kcpshard.definitions.quantities import WRONG_FORMAT, InvalidQuantity, canonical_quantity, rounded_to_milli
from kcpshard.definitions.timestamps import InvalidTime, canonical_micro_time, canonical_time

_JSON_SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
_INTEGER_RANGE = {"int32": 2**31, "int64": 2**63, "": 2**63}


class WrongType(Exception):
    """The object is not one of its kind; `str()` gives what follows "cannot be handled as a ConfigMap: "."""

    def __init__(self, shown: str, go_type: str) -> None:
        super().__init__(shown)
        self.shown, self.go_type = shown, go_type
        self.struct = ""  # the innermost Go struct
        self.path: list[str] = []  # JSON names from the outermost struct, without indices and map keys

    def __str__(self) -> str:
        if not self.go_type:
            return self.shown
        return (
            f"json: cannot unmarshal {self.shown} into Go struct field {self.struct}.{'.'.join(self.path)} "
            f"of type {self.go_type}"
        )


def check_fields(schema: Schema, obj: Object) -> list[str]:
    """The paths of unknown fields ("spec.limits[0].x"), which are dropped from `obj`. Raises WrongType.

    Changes `obj` in place. Idempotent: what it leaves passes unchanged.
    """
    unknown: list[str] = []
    _read_struct(obj, schema, unknown)
    return unknown


def _read_struct(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if type(value) is not dict:
        raise _mismatch(value, schema)
    properties = schema.properties
    assert properties is not None
    dropped: list[str] = []
    name = ""
    try:
        for name, field in value.items():
            known = properties.get(name)
            if known is None:
                unknown.append(name)
                dropped.append(name)
            elif field is None or (known.omit_empty and not field and field == _EMPTY.get(known.type, 0)):
                dropped.append(name)
            elif known.type != "string" or type(field) is not str:
                before = len(unknown)
                value[name] = _READERS[known.type](field, known, unknown)
                if len(unknown) != before:
                    _prefix(unknown, before, name)
    except WrongType as fault:
        fault.struct = fault.struct or schema.name.rpartition(".")[2]
        fault.path.insert(0, name)
        raise
    for name in dropped:
        del value[name]
    for name, zero in schema.emitted:
        if name not in value:
            value[name] = _read_struct({}, properties[name], []) if zero == {} else zero
        elif zero is None and value[name] == []:
            value[name] = None  # a list that is always written loses its emptiness in storage
    return value


_EMPTY: dict[str, Any] = {"string": "", "bytes": "", "object": {}, "array": [], "boolean": False}


def has_empty(schema: Schema, value: Any) -> bool:
    """Whether there is a list or map in `value` that is empty and will be dropped for that."""
    if isinstance(value, dict):
        if schema.omit_empty and not value and schema.type == "object":
            return True
        properties = schema.properties or {}
        inner = ((properties.get(key, schema.values), item) for key, item in value.items())
        return any(found is not None and has_empty(found, item) for found, item in inner)
    if isinstance(value, list):
        items = schema.items
        is_dropped = schema.omit_empty and not value
        return is_dropped or (items is not None and any(has_empty(items, item) for item in value))
    return False


def _prefix(unknown: list[str], start: int, name: str) -> None:
    for place in range(start, len(unknown)):
        separator = "" if unknown[place].startswith("[") else "."
        unknown[place] = f"{name}{separator}{unknown[place]}"


def _read_object(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if schema.properties is not None:
        return _read_struct(value, schema, unknown)
    if type(value) is not dict:
        raise _mismatch(value, schema)
    inner = schema.values
    assert inner is not None
    if inner.type == "string":
        for key, item in value.items():
            if type(item) is not str:
                value[key] = _read_string(item, inner, unknown)
        return value
    if inner.type == "quantity":
        return {key: _read_amount(item, inner, unknown) for key, item in value.items()}
    reader = _READERS[inner.type]
    for key, item in value.items():
        before = len(unknown)
        value[key] = _zero(inner) if item is None else reader(item, inner, unknown)
        if len(unknown) != before:
            _prefix(unknown, before, key)
    return value


def _read_array(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if type(value) is not list:
        raise _mismatch(value, schema)
    inner = schema.items
    assert inner is not None
    if inner.type == "string":
        for place, item in enumerate(value):
            if type(item) is not str:
                value[place] = _read_string(item, inner, unknown)
        return value
    reader = _READERS[inner.type]
    for place, item in enumerate(value):
        before = len(unknown)
        value[place] = _zero(inner) if item is None else reader(item, inner, unknown)
        if len(unknown) != before:
            _prefix(unknown, before, f"[{place}]")
    return value


def _zero(schema: Schema) -> Any:
    """What a null in a list or map becomes."""
    if schema.properties is not None:
        return _read_struct({}, schema, [])
    return {"string": "", "bytes": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0"}.get(schema.type)


def _mismatch(value: Any, schema: Schema, digits: bool = False) -> WrongType:
    """`digits`: the type would fit, the number does not, and is shown."""
    shown = _json_kind(value) + (f" {value}" if digits else "")
    return WrongType(shown, schema.go_type)


def _json_kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
    return "object"


def _read_string(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise _mismatch(value, schema)


def _read_bytes(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if type(value) is list and all(type(item) is int and 0 <= item <= 255 for item in value):
        return base64.b64encode(bytes(value)).decode()  # Go reads bytes from numbers, too
    if type(value) is not str:
        raise _mismatch(value, schema)
    try:
        raw = base64.b64decode(value, validate=True)
    except ValueError:
        return _lenient_base64(value)
    canonical = base64.b64encode(raw).decode()
    return value if canonical == value else canonical


def _lenient_base64(value: str) -> str:
    """Go skips line breaks inside base64; anything else is named by its offset."""
    kept = value.replace("\r", "").replace("\n", "")
    try:
        return base64.b64encode(base64.b64decode(kept, validate=True)).decode()
    except ValueError:
        raise WrongType(f"illegal base64 data at input byte {_first_bad_byte(value)}", "") from None


_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _first_bad_byte(value: str) -> int:
    """Where Go's decoder gives up: at the first foreign byte, else at the start of the incomplete group of four."""
    group, digits, padded = 0, 0, False
    for place, byte in enumerate(value.encode()):
        if byte in b"\r\n":
            continue
        if byte == ord("=") and digits >= 2 and not padded:
            padded, digits = True, digits + 1
            if digits == 4:
                digits = 0
            continue
        if padded and byte == ord("=") and digits == 3:
            digits = 0
            continue
        if padded or byte not in _ALPHABET:
            return place
        if digits == 0:
            group = place
        digits = (digits + 1) % 4
    return group


def _read_integer(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if type(value) is int:
        bound = _INTEGER_RANGE[schema.format]
        if -bound <= value < bound:
            return value
        raise _mismatch(value, schema, digits=True)
    raise _mismatch(value, schema, digits=type(value) is float)


def _read_number(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if type(value) in (int, float):
        return value
    raise _mismatch(value, schema)


def _read_boolean(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if type(value) is bool:
        return value
    raise _mismatch(value, schema)


def _read_any(value: Any, schema: Schema, unknown: list[str]) -> Any:
    return value


def _read_quantity(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if isinstance(value, bool | list | dict):
        raise WrongType(WRONG_FORMAT, "")
    try:
        return canonical_quantity(value.strip() if type(value) is str else repr(value))
    except InvalidQuantity as fault:
        raise WrongType(str(fault), "") from None


def _read_amount(value: Any, schema: Schema, unknown: list[str]) -> Any:
    """Of a ResourceList: upstream rounds these up to thousandths."""
    return "0" if value is None else rounded_to_milli(_read_quantity(value, schema, unknown))


def _read_int_or_string(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if type(value) is str:
        return value
    if type(value) is int and -(2**31) <= value < 2**31:
        return value
    shown = f"number {value}" if type(value) in (int, float) else _json_kind(value)
    raise WrongType(f"json: cannot unmarshal {shown} into Go value of type int32", "")


def _read_time(value: Any, schema: Schema, unknown: list[str]) -> Any:
    if type(value) is not str:
        raise _mismatch(value, schema)
    try:
        return canonical_time(value) if schema.type == "time" else canonical_micro_time(value)
    except InvalidTime as fault:
        raise WrongType(str(fault), "") from None


def _read_schema_or(value: Any, schema: Schema, unknown: list[str]) -> Any:
    """The unions of JSONSchemaProps: Go decodes them by code that neither reports unknown fields nor keeps the path."""
    try:
        if type(value) is dict:
            return _read_struct(value, definition(_JSON_SCHEMA), [])
        if type(value) is bool and schema.type == "schema-or-bool":
            return value
        if type(value) is list and schema.type == "schema-or-array":
            return [_read_struct(item, definition(_JSON_SCHEMA), []) for item in value]
        if type(value) is list and schema.type == "schema-or-strings":
            return [_read_string(item, _STRING, []) for item in value]
    except WrongType as fault:
        raise WrongType(str(fault), "") from None
    raise WrongType("boolean or JSON schema expected" if schema.type == "schema-or-bool" else "unexpected type", "")


_STRING = Schema("string")
_STRING.go_type = "string"

_READERS: dict[str, Callable[[Any, Schema, list[str]], Any]] = {
    "object": _read_object,
    "array": _read_array,
    "string": _read_string,
    "bytes": _read_bytes,
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
    "any": _read_any,
    "quantity": _read_quantity,
    "int-or-string": _read_int_or_string,
    "time": _read_time,
    "microtime": _read_time,
    "schema-or-array": _read_schema_or,
    "schema-or-bool": _read_schema_or,
    "schema-or-strings": _read_schema_or,
}


def object_meta() -> Schema:
    """The schema of metadata, which custom resources share."""
    return definition(META + "ObjectMeta")

"""OpenAPI documents in protobuf, read back by a small reader of the wire format.

That every document of a real kube-apiserver comes out as its own protobuf says is checked by
`python -m tests.differential.openapi_protobuf`.
"""

from typing import Any

import orjson
import pytest

from kcpfront.protobuf.openapi_documents import encoded


def fields(data: bytes) -> list[tuple[int, Any]]:
    """(number, value) in order; values are integers or bytes."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        value: Any
        if tag & 7 == 2:
            length = varint()
            value, at = data[at : at + length], at + length
        elif tag & 7 == 1:
            value, at = data[at : at + 8], at + 8
        else:
            value = varint()
        found.append((tag >> 3, value))
    return found


def at(data: bytes, *path: int) -> bytes:
    for number in path:
        data = next(value for found, value in fields(data) if found == number)
    return data


def test_version_2() -> None:
    document = {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36"},
        "paths": {"/api/": {"get": {"operationId": "x", "parameters": [{"name": "body", "in": "body", "schema": {}}]}}},
        "definitions": {
            "a.B": {
                "type": "object",
                "properties": {"c": {"type": "array", "items": {"$ref": "#/definitions/C"}}},
                "additionalProperties": {"type": "string"},
                "x-kubernetes-list-type": "atomic",
            }
        },
    }
    data = encoded(orjson.dumps(document))
    assert fields(data)[0] == (1, b"2.0")
    assert at(data, 2, 1) == b"Kubernetes"
    assert at(data, 8, 2, 1) == b"/api/"  # paths, a named path item, its name
    operation = at(data, 8, 2, 2, 2)
    assert at(operation, 5) == b"x"
    assert at(operation, 8, 1, 1, 2) == b"body"  # parameters item, parameter, body parameter, name
    definition = at(data, 9, 1)
    assert at(definition, 1) == b"a.B"
    schema = at(definition, 2)
    assert at(schema, 22, 1) == b"object"
    extension = fields(schema)[-1][1]
    assert at(extension, 1) == b"x-kubernetes-list-type"
    assert at(extension, 2, 2) == b'"atomic"\n'


@pytest.mark.parametrize(
    ("default", "expected"),
    [({}, b""), ("", b"\x1a\x00"), (False, b"\x10\x00"), (0, b"\x09" + bytes(8)), ("x", b"\x1a\x01x")],
)
def test_version_3_keeps_defaults_that_are_zero(default: Any, expected: bytes) -> None:
    schema = {"default": default}
    document = {"openapi": "3.0.0", "info": {}, "paths": {}, "components": {"schemas": {"a": schema}}}
    data = encoded(orjson.dumps(document))
    shown = at(data, 5, 1, 1, 2, 1)  # components, schemas, the named one, schema or reference, schema
    (found,) = [value for number, value in fields(shown) if isinstance(value, bytes)]
    assert found == expected


def test_references_are_told_from_schemas() -> None:
    document = {"openapi": "3.0.0", "components": {"schemas": {"a": {"allOf": [{"$ref": "#/b"}]}}}}
    data = encoded(orjson.dumps(document))
    schema = at(data, 5, 1, 1, 2, 1)
    (all_of,) = [value for _, value in fields(schema)]
    assert fields(all_of) == [(2, b"\x0a\x03#/b")]

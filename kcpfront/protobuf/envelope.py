"""Objects on the wire: "k8s", NUL, and a runtime.Unknown that names the kind beside the message. Pure."""

from typing import NamedTuple

from kcpfront.protobuf.wire import LENGTH, MalformedProtobuf, delimited, iterate, varint

PREFIX = b"k8s\x00"


class Enveloped(NamedTuple):
    api_version: str
    kind: str
    message: bytes


def read(data: bytes) -> Enveloped:
    """Raises MalformedProtobuf in kube-apiserver's words."""
    if not data.startswith(PREFIX):
        raise MalformedProtobuf(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    if len(data) == len(PREFIX):
        raise MalformedProtobuf("empty body")
    type_meta = message = b""
    for number, value in iterate(data[len(PREFIX) :]):
        if number == 1 and isinstance(value, bytes):
            type_meta = value
        elif number == 2 and isinstance(value, bytes):
            message = value
    names = {
        number: value.decode("utf-8", "replace") for number, value in iterate(type_meta) if isinstance(value, bytes)
    }
    return Enveloped(names.get(1, ""), names.get(2, ""), message)


def write(api_version: str, kind: str, message: bytes) -> bytes:
    return head(api_version, kind, len(message)) + message + TAIL


def head(api_version: str, kind: str, size: int) -> bytes:
    """What goes before a message of `size` bytes; TAIL goes after it."""
    type_meta = delimited(1, api_version.encode()) + delimited(2, kind.encode())
    return PREFIX + delimited(1, type_meta) + varint(2 << 3 | LENGTH) + varint(size)


# contentEncoding and contentType, empty: kube-apiserver always writes them.
TAIL = b"\x1a\x00\x22\x00"

"""Whole objects, lists, Status and watch events: JSON text ↔ protobuf as clients send and read it. Pure."""

from typing import Any

import orjson

from kcpfront.protobuf import envelope, facts
from kcpfront.protobuf.decoding import decode_object
from kcpfront.protobuf.encoding import encoder
from kcpfront.protobuf.facts import META, ResourceKind
from kcpfront.protobuf.wire import MalformedProtobuf, delimited

PARTIAL = f"{META}PartialObjectMetadata"  # knows metadata only: encoding drops the rest


class NoProtobuf(Exception):
    """The object has no protobuf form, or is not of the shape its kind has in the built-in API."""


def to_json(body: bytes, default: ResourceKind | None) -> bytes:
    """A request's body. Raises MalformedProtobuf."""
    try:
        return orjson.dumps(decode_object(body, default))
    except orjson.JSONEncodeError:
        raise MalformedProtobuf("exceeded max depth") from None  # orjson goes 254 levels deep


def encode_object(obj: dict[str, Any]) -> bytes:
    """Raises NoProtobuf."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    return envelope.write(api_version, kind, encode_message(facts.message_of(api_version, kind), obj))


def encode_partial(obj: dict[str, Any], version: str) -> bytes:
    """An object's PartialObjectMetadata, which has a form whatever the object is. Raises NoProtobuf."""
    return envelope.write(f"meta.k8s.io/{version}", "PartialObjectMetadata", encode_message(PARTIAL, obj))


def encode_message(message: str, obj: dict[str, Any]) -> bytes:
    """The message alone. Raises NoProtobuf."""
    if not message:
        raise NoProtobuf(f"no protobuf form of {obj.get('apiVersion')} {obj.get('kind')}")
    try:
        return encoder(message)(obj)
    # A custom resource may bear the name of a built-in kind and hold anything.
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise NoProtobuf(f"not of the shape of {message}: {error}") from error


def encode_item(message: str, obj: dict[str, Any]) -> bytes:
    """One entry of a list's field `items`, 2 in every list. Raises NoProtobuf."""
    return delimited(2, encode_message(message, obj))


def encode_list(api_version: str, kind: str, metadata: dict[str, Any], items: bytes) -> bytes:
    """A list of items made by `encode_item`."""
    message = delimited(1, encoder(f"{META}ListMeta")(metadata)) + items
    return envelope.write(api_version, kind, message)


def encode_event(type_: str, obj: bytes) -> bytes:
    """One frame of a watch: four bytes of length, then a WatchEvent around an enveloped object."""
    event = delimited(1, type_.encode()) + delimited(2, delimited(1, obj))
    return len(event).to_bytes(4, "big") + event

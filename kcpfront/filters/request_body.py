"""The body as JSON: its size, media type, nesting and duplicate keys. YAML and protobuf become JSON here.

What a body means is the shard's business, also whether its JSON can be parsed: broken JSON passes through.
"""

import asyncio

from kcpfront import json_text, yaml_text
from kcpfront.exchange import Exchange
from kcpfront.negotiation import AVAILABLE, BODY_TYPES, JSON, PATCH_TYPES, PROTOBUF, media_type
from kcpfront.protobuf.decoding import MalformedMessage
from kcpfront.protobuf.facts import ResourceKind, resource_kind
from kcpfront.protobuf.objects import to_json
from kcpshard.api.errors import BadRequest, UnsupportedMediaType

MAX_BODY_BYTES = 3 * 1024 * 1024  # kube-apiserver's --max-resource-write-bytes
# Larger protobuf is read on a thread: 3 MB of empty messages take a second, in which others get their turns.
_LARGE_BYTES = 64 * 1024
_SHOWN_BYTES = 30


async def read_object(exchange: Exchange) -> None:
    """The body of a create, update or delete."""
    chosen = BODY_TYPES.get(media_type(exchange.headers.get("Content-Type")))
    if chosen is PROTOBUF:
        await _read_protobuf(exchange)
        return
    if chosen is None:
        raise _unknown_format()
    body = await exchange.read_body(MAX_BODY_BYTES)
    _take(exchange, body, is_yaml=chosen is not JSON)


def _unknown_format() -> UnsupportedMediaType:
    return UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {AVAILABLE}"
    )


_DELETE_OPTIONS = ResourceKind("v1", "DeleteOptions")


async def _read_protobuf(exchange: Exchange) -> None:
    """Only built-in types have a protobuf form; DeleteOptions have one for every type."""
    info = exchange.info
    is_delete = info.method == "DELETE"
    kind = _DELETE_OPTIONS if is_delete else resource_kind(info.group, info.version, info.resource, info.subresource)
    if kind is None:
        raise _unknown_format()
    body = await exchange.read_body(MAX_BODY_BYTES)
    if not body:
        return
    try:
        if len(body) < _LARGE_BYTES:
            exchange.body = _from_protobuf(body, kind)
        else:
            loop = asyncio.get_running_loop()
            exchange.body = await loop.run_in_executor(None, _from_protobuf, body, kind)
    except ValueError as error:
        raise BadRequest(str(error) if is_delete else _unreadable(body, kind.kind, error)) from None


def _unreadable(body: bytes, expected: str, error: ValueError) -> str:
    """kube-apiserver's sentences: a broken message of a known kind, or something that is no object at all."""
    if isinstance(error, MalformedMessage):
        version = error.api_version.rpartition("/")[2]
        return f'{error.kind} in version "{version}" cannot be handled as a {expected}: {error}'
    shown = body[:_SHOWN_BYTES].decode("utf-8", "replace") if body[:1] == b"{" else body[:_SHOWN_BYTES].hex()
    more = " ..." if len(body) > _SHOWN_BYTES else ""
    return f"the object provided is unrecognized (must be of type {expected}): {error} ({shown}{more})"


def _from_protobuf(body: bytes, kind: ResourceKind) -> bytes:
    text = to_json(body, kind)
    json_text.check_nesting(text)
    return text


async def read_patch(exchange: Exchange) -> int:
    """The body of a patch and its kind, a PatchType. Patches of other media types are refused."""
    kind = PATCH_TYPES.get(media_type(exchange.headers.get("Content-Type")))
    if kind is None:
        raise UnsupportedMediaType("415: Unsupported Media Type")
    body = await exchange.read_body(MAX_BODY_BYTES)
    _take(exchange, body, is_yaml=kind == 4)
    return kind


def _take(exchange: Exchange, body: bytes, is_yaml: bool) -> None:
    if not body:
        return
    try:
        if is_yaml and body.lstrip()[:1] != b"{":
            body, exchange.duplicate_fields = yaml_text.to_json(body)
        else:
            json_text.check_nesting(body)
            exchange.duplicate_fields = json_text.duplicate_fields(body)
    except ValueError as error:
        raise BadRequest(f"the object provided is unrecognized: {error}") from None
    exchange.body = body

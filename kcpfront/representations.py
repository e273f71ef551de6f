"""An answer's JSON → the representation the client asked for."""

import time
from typing import Any, Protocol

import orjson

from kcpfront import tables, yaml_text
from kcpfront.exchange import Reply
from kcpfront.negotiation import JSON, PROTOBUF, TABLE, YAML, Representation, is_pretty
from kcpfront.protobuf.facts import resource_kind
from kcpfront.protobuf.objects import NoProtobuf, encode_object
from kcpfront.request_info import RequestInfo
from kcpfront.responses import list_around, list_metadata, text_reply, warning_headers
from kcpshard.api.requests import ListInfo
from kcpshard.rpc.contract import Result


class Asked(Protocol):
    """An Exchange, or what is known of one in another process."""

    @property
    def info(self) -> RequestInfo: ...
    @property
    def user_agent(self) -> str: ...


def wants_pretty(exchange: Asked) -> bool:
    info = exchange.info
    return is_pretty(info.get("pretty"), "pretty" in info.query, exchange.user_agent)


def has_protobuf(exchange: Asked) -> bool:
    """Whether what the request is about has a protobuf form."""
    info = exchange.info
    return resource_kind(info.group, info.version, info.resource, info.subresource) is not None


def result_reply(exchange: Asked, shown: Representation, result: Result) -> Reply:
    """One object, what a deletecollection deleted, or the Status of a refusal (which no representation transforms)."""
    headers = warning_headers(result.warnings) if result.warnings else b""
    if result.retry_after_s:
        headers += b"Retry-After: %d\r\n" % result.retry_after_s
    if result.content_type:  # no document of ours
        reply = text_reply(result.code, result.body.decode(), result.content_type)
        return reply._replace(headers=reply.headers + headers)
    if result.info is not None:
        return finished(exchange, shown, result.code, _deleted(exchange, shown, result, result.info), headers)
    if not shown.as_ or result.code >= 300:
        return finished(exchange, shown, result.code, result.body, headers)
    return finished(exchange, shown, result.code, _transformed(exchange, shown, result), headers)


def _deleted(exchange: Asked, shown: Representation, result: Result, info: ListInfo) -> bytes:
    if shown.as_:
        return transformed_list(exchange, shown, result.body, info, result.columns)
    before, after = list_around(info)
    return before + result.body + after


def finished(exchange: Asked, shown: Representation, code: int, body: bytes, headers: bytes = b"") -> Reply:
    """JSON as protobuf, YAML or indented, if asked for."""
    if shown.media_type is PROTOBUF:
        return _protobuf(code, body, headers)
    if shown.media_type is YAML:
        return Reply(code, yaml_text.from_json(body), YAML, headers)
    if wants_pretty(exchange):
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    return Reply(code, body, JSON, headers)


def _protobuf(code: int, body: bytes, headers: bytes) -> Reply:
    """Clients go by the Content-Type: what turns out to have no protobuf form is sent as it is."""
    try:
        return Reply(code, encode_object(orjson.loads(body)), PROTOBUF, headers)
    except NoProtobuf:
        return Reply(code, body, JSON, headers)


def _transformed(exchange: Asked, shown: Representation, result: Result) -> bytes:
    obj = orjson.loads(result.body)
    if obj.get("kind") == "Status":
        return result.body
    if refusal := tables.wrong_shape(shown.as_, is_list=False):
        raise refusal
    if shown.as_ != TABLE:
        return orjson.dumps(tables.partial(obj, shown.version))
    include = tables.include_object(exchange.info)
    printer = tables.printer_for(exchange.info, result.columns)
    return orjson.dumps(tables.object_table(printer, obj, include, shown.version, time.time()))


def transformed_list(exchange: Asked, shown: Representation, items: bytes, info: ListInfo, columns: bytes) -> bytes:
    """A whole list as Table or PartialObjectMetadataList."""
    objects: list[dict[str, Any]] = orjson.loads(b"[" + items + b"]")
    metadata = list_metadata(info)
    if shown.as_ != TABLE:
        return orjson.dumps(tables.partial_list(objects, metadata, shown.version))
    include, now = tables.include_object(exchange.info), time.time()
    printer = tables.printer_for(exchange.info, columns)
    rows = [tables.row(printer, obj, include, shown.version, now) for obj in objects]
    return orjson.dumps(tables.table(printer, shown.version, metadata, rows))


def around_items(exchange: Asked, shown: Representation, info: ListInfo, columns: bytes) -> tuple[bytes, bytes]:
    """The same without the items: what stands before and after them."""
    metadata = list_metadata(info)
    if shown.as_ == TABLE:
        whole = tables.table(tables.printer_for(exchange.info, columns), shown.version, metadata, [])
    else:
        whole = tables.partial_list([], metadata, shown.version)
    return orjson.dumps(whole)[: -len(_END)], _END


_END = b"]}"

"""Writing answers: heads, Status documents, lists, in bytes. Decides nothing about their content."""

import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import orjson

from kcpfront.exchange import Exchange, Reply
from kcpshard.api.errors import ApiError
from kcpshard.api.requests import ListInfo
from kcpshard.api.resource_versions import format_revision

_STATUS_LINES = {int(s): f"HTTP/1.1 {int(s)} {s.phrase}\r\n".encode() for s in HTTPStatus}
_FIXED = b"Cache-Control: no-cache, private\r\n"


class _Date:
    """The Date header line, made once a second: it costs more than the rest of a head."""

    second = 0
    line = b""


def _date_line() -> bytes:
    now = int(time.time())
    if now != _Date.second:
        _Date.second, _Date.line = now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
    return _Date.line


def encode_head(exchange: Exchange, code: int, content_type: str, framing: str, headers: bytes = b"") -> bytes:
    """Status line and headers. `framing` is one header line without its end: length or transfer encoding."""
    line = _STATUS_LINES.get(code) or f"HTTP/1.1 {code} -\r\n".encode()
    if not exchange.keep_alive:
        headers += b"Connection: close\r\n"
    media = f"Content-Type: {content_type}\r\n" if content_type else ""
    text = f"Audit-Id: {exchange.audit_id}\r\n{media}{framing}\r\n"
    return b"".join((line, text.encode(), _FIXED, _date_line(), exchange.flow, headers, b"\r\n"))


@lru_cache(1024)
def flow_headers(names: bytes) -> bytes:
    """Of Response.flow."""
    schema, _, level = names.partition(b" ")
    return b"X-Kubernetes-Pf-Flowschema-Uid: %b\r\nX-Kubernetes-Pf-Prioritylevel-Uid: %b\r\n" % (schema, level)


def encode_reply(exchange: Exchange, reply: Reply) -> Sequence[bytes]:
    """Head and body."""
    code, body, content_type, headers = reply
    head = encode_head(exchange, code, content_type, f"Content-Length: {len(body)}", headers)
    return (head,) if exchange.method == "HEAD" else (head, body)


def error_reply(error: ApiError) -> Reply:
    if error.content_type:
        return text_reply(error.code, error.body().decode(), error.content_type)
    headers = b""
    if error.retry_after_s:
        headers = b"Retry-After: %d\r\n" % error.retry_after_s
    return Reply(error.code, error.body(), headers=headers)


def text_reply(code: int, text: str, content_type: str = "text/plain; charset=utf-8") -> Reply:
    return Reply(code, text.encode(), content_type, b"X-Content-Type-Options: nosniff\r\n")


def json_reply(code: int, document: Any) -> Reply:
    return Reply(code, orjson.dumps(document, option=orjson.OPT_INDENT_2))


def warning_headers(warnings: Sequence[str]) -> bytes:
    """`Warning: 299 - "text"` for each, so that nothing in a text can end the header line."""
    lines = []
    for text in warnings:
        clean = "".join(c if c.isprintable() else " " for c in text).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'Warning: 299 - "{clean}"\r\n')
    return "".join(lines).encode()


def list_around(info: ListInfo) -> tuple[bytes, bytes]:
    """What goes before and after the items of a list."""
    return b"{" + _list_fields(info) + b',"items":[', b"]}\n"


def list_after(info: ListInfo) -> bytes:
    """What goes after the items when they had to leave before anything around them was known."""
    return b"]," + _list_fields(info) + b"}\n"


def _list_fields(info: ListInfo) -> bytes:
    metadata = orjson.dumps(list_metadata(info))
    return f'"kind":"{info.kind}","apiVersion":"{info.api_version}","metadata":'.encode() + metadata


def list_metadata(info: ListInfo) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": format_revision(info.revision)}
    if info.continue_token:
        metadata["continue"] = info.continue_token
    if info.remaining_item_count > 0:
        metadata["remainingItemCount"] = info.remaining_item_count
    return metadata


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked transfer encoding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED = "Transfer-Encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n"

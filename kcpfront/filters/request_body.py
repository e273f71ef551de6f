"""The body as JSON: its size, media type, nesting and duplicate keys. YAML and protobuf become JSON here.

What a body means is the shard's business, also whether its JSON can be parsed: broken JSON passes through. A large body
is read in a worker process: one of 3 MB takes from 50 ms to seconds.
"""

import asyncio

import orjson

from kcpfront import json_text, yaml_text
from kcpfront.authentication.credential import ANONYMOUS_IDENTITY
from kcpfront.exchange import Exchange
from kcpfront.negotiation import AVAILABLE, BODY_TYPES, JSON, PATCH_TYPES, PROTOBUF, YAML, media_type
from kcpfront.protobuf.decoding import MalformedMessage
from kcpfront.protobuf.facts import ResourceKind, resource_kind
from kcpfront.protobuf.objects import to_json
from kcpshard.api.errors import BadRequest, RequestEntityTooLarge, Unauthorized, UnsupportedMediaType
from kcpshard.workers.pool import WorkerPool
from kcpshard.workers.process import Ask

MAX_BODY_BYTES = 3 * 1024 * 1024  # kube-apiserver's --max-resource-write-bytes
# Larger ones go to a worker: JSON takes about 30 µs a kB, protobuf 40, YAML 100.
_LARGE_BYTES = {JSON: 96 * 1024, PROTOBUF: 64 * 1024, YAML: 24 * 1024}
_SHOWN_BYTES = 30
MAX_ANONYMOUS_BYTES = 64 * 1024


async def read_object(exchange: Exchange, workers: WorkerPool | None = None, most: int = MAX_BODY_BYTES) -> None:
    """The body of a create, update or delete, of at most so many bytes. Without `workers` everything is read here."""
    chosen = BODY_TYPES.get(media_type(exchange.headers.get("Content-Type")))
    is_delete = exchange.method == "DELETE"
    kind = _DELETE_OPTIONS if is_delete else _kind_of(exchange)
    if chosen is None or (chosen is PROTOBUF and kind is None):
        raise _unknown_format()
    body = await _read(exchange, most)
    await _take(exchange, body, chosen, kind, is_delete, workers)


async def read_patch(exchange: Exchange, workers: WorkerPool | None = None, most: int = MAX_BODY_BYTES) -> int:
    """The body of a patch and its kind, a PatchType. Patches of other media types are refused."""
    kind = PATCH_TYPES.get(media_type(exchange.headers.get("Content-Type")))
    if kind is None:
        raise UnsupportedMediaType("415: Unsupported Media Type")
    body = await _read(exchange, most)
    await _take(exchange, body, YAML if kind == 4 else JSON, None, False, workers)
    return kind


async def _read(exchange: Exchange, most: int) -> bytes:
    """Strangers' large bodies are refused by their declared length, or after MAX_ANONYMOUS_BYTES, before they take our
    memory and time: hardly anybody lets them write at all, which only the shard can tell."""
    if exchange.identity != ANONYMOUS_IDENTITY:
        return await exchange.read_body(most)
    try:
        return await exchange.read_body(MAX_ANONYMOUS_BYTES)
    except RequestEntityTooLarge:
        raise Unauthorized(f"bodies of more than {MAX_ANONYMOUS_BYTES} bytes need a credential") from None


def _unknown_format() -> UnsupportedMediaType:
    return UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {AVAILABLE}"
    )


_DELETE_OPTIONS = ResourceKind("v1", "DeleteOptions")


def _kind_of(exchange: Exchange) -> ResourceKind | None:
    """Only built-in types have a protobuf form; DeleteOptions have one for every type."""
    info = exchange.info
    return resource_kind(info.group, info.version, info.resource, info.subresource)


async def _take(
    exchange: Exchange,
    body: bytes,
    form: str,
    kind: ResourceKind | None,
    is_delete: bool,
    workers: WorkerPool | None,
) -> None:
    if not body:
        return
    if workers is None or len(body) <= _LARGE_BYTES[form]:
        found, duplicates = decoded(body, form, kind, is_delete)
    else:
        found, duplicates = await _decoded_elsewhere(workers, exchange.info.cluster, body, form, kind, is_delete)
    exchange.body = body if found is None else found
    if duplicates:
        exchange.duplicate_fields = duplicates


def decoded(body: bytes, form: str, kind: ResourceKind | None, is_delete: bool) -> tuple[bytes | None, list[str]]:
    """The JSON, None if the body is that already, and its duplicate keys: their paths, or sentences on YAML.

    Raises BadRequest. Pure.
    """
    if form == PROTOBUF:
        assert kind is not None
        return _from_protobuf(body, kind, is_delete), []
    try:
        # JSON is YAML, and mostly what comes as YAML; but YAML's braces also take what JSON's do not, as a last comma.
        if form == YAML and not json_text.is_object(body):
            return yaml_text.to_json(body)
        json_text.check_nesting(body)
        duplicates = json_text.duplicate_fields(body)
        # kube-apiserver reads it as YAML, and says so where it has something to say.
        return None, yaml_text.to_json(body)[1] if duplicates and form == YAML else duplicates
    except ValueError as error:
        expected = f" (must be of type {kind.kind})" if kind is not None else ""
        raise BadRequest(f"the object provided is unrecognized{expected}: {error} ({_snippet(body)})") from None


def _from_protobuf(body: bytes, kind: ResourceKind, is_delete: bool) -> bytes:
    try:
        text = to_json(body, kind)
        json_text.check_nesting(text)
    except ValueError as error:
        raise BadRequest(str(error) if is_delete else _unreadable(body, kind.kind, error)) from None
    return text


def _unreadable(body: bytes, expected: str, error: ValueError) -> str:
    """kube-apiserver's sentences: a broken message of a known kind, or something that is no object at all."""
    if isinstance(error, MalformedMessage):
        version = error.api_version.rpartition("/")[2]
        return f'{error.kind} in version "{version}" cannot be handled as a {expected}: {error}'
    return f"the object provided is unrecognized (must be of type {expected}): {error} ({_snippet(body)})"


def _snippet(body: bytes) -> str:
    """Text if it looks like an object, else hexadecimal."""
    shown = body[:_SHOWN_BYTES].decode("utf-8", "replace") if body[:1] == b"{" else body[:_SHOWN_BYTES].hex()
    return shown + " ..." if len(body) > _SHOWN_BYTES else shown


# --- in a worker: a line of JSON and the body, both ways


async def _decoded_elsewhere(
    workers: WorkerPool, cluster: str, body: bytes, form: str, kind: ResourceKind | None, is_delete: bool
) -> tuple[bytes | None, list[str]]:
    head = orjson.dumps([form, list(kind) if kind is not None else None, is_delete])
    await asyncio.sleep(0)  # a body of megabytes is copied four times on its way: not all in one turn of the loop
    answer = await workers.run(cluster, f"{__name__}:decode_job", head + b"\n" + body)
    await asyncio.sleep(0)
    line, _, text = answer.partition(b"\n")
    fault, is_same, duplicates = orjson.loads(line)
    if fault is not None:
        raise BadRequest(fault)
    return None if is_same else text, duplicates


def decode_job(payload: bytes, ask: Ask) -> bytes:
    line, _, body = payload.partition(b"\n")
    form, kind, is_delete = orjson.loads(line)
    try:
        text, duplicates = decoded(body, form, ResourceKind(*kind) if kind is not None else None, is_delete)
    except BadRequest as error:
        return orjson.dumps([str(error), True, []]) + b"\n"
    return orjson.dumps([None, text is None, duplicates]) + b"\n" + (text or b"")

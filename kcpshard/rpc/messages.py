"""Message ↔ API value for the Session stream, and the Hello that opens every stream.

Entries are whole protobuf fields of RequestBatch and ResponseBatch; see `frames` for how they become messages.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from kcpshard.api.requests import Answer, ListInfo
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from kcpshard.rpc.frames import body_at, entry, entry_before, read_varint

PROTOCOL = 1
REQUEST_BODY_BYTES = 3 * 1024 * 1024 + 64 * 1024  # a submitted object is at most 3 MiB; some room for what wraps it
RESPONSE_BODY_BYTES = 64 * 1024 * 1024  # the OpenAPI document of 500 CRDs is 20 MB; no object comes near

SYNC_OBJECT_BYTES = 200  # what an object costs of an agent's credit besides its JSON: both ends count it

WRITES = frozenset({pb.CREATE, pb.UPDATE, pb.PATCH, pb.DELETE, pb.DELETE_COLLECTION})
_BULKY = frozenset({pb.LIST, pb.LIST_MANY, pb.DELETE_COLLECTION, pb.DOCUMENT, pb.FORWARD})

_REQUESTS = _RESPONSES = b"\x12"  # field 2, length-delimited, in both batches
_FRAMES = b"\x1a"  # field 3 of RequestBatch
_REQUEST_BODY, _FRAME_BODY, _RESPONSE_BODY = b"\x52", b"\x12", b"\x1a"  # fields 10, 2 and 3 of their messages
_PLAIN = Answer(0, b"")[2:-1]
_Response = pb.Response


def software() -> str:
    try:
        return version("kcp-python")
    except PackageNotFoundError:
        return "unknown"


SOFTWARE = software()


class ProtocolMismatch(Exception):
    """The other side speaks a protocol that is not a neighbour of ours, or did not start with Hello."""


def check_hello(hello: pb.Hello | None) -> pb.Hello:
    """Neighbours one version apart work together; raises ProtocolMismatch otherwise."""
    if hello is None:
        raise ProtocolMismatch("a stream starts with Hello")
    if abs(hello.protocol - PROTOCOL) > 1:
        raise ProtocolMismatch(
            f"{hello.process or 'the peer'} ({hello.software or 'unknown release'}) speaks protocol {hello.protocol}, "
            f"this process ({SOFTWARE}) speaks {PROTOCOL}; at most one apart work together: upgrade in steps"
        )
    return hello


def front_hello(process: str) -> pb.Hello:
    return pb.Hello(protocol=PROTOCOL, process=process, software=SOFTWARE)


def is_bulky(request: pb.Request) -> bool:
    """Whether it belongs on the second lane: lists, documents and whatever takes a large body along."""
    return request.verb in _BULKY or len(request.body) > 64 * 1024


# --- requests


def request_entry(request: pb.Request) -> bytes:
    return entry(_REQUESTS, request.SerializeToString())


def before_request_frame(request: pb.Request, size: int, first: bool, more: bool) -> bytes:
    """What comes before a piece of a request's body: the request itself without its body, or a RequestFrame."""
    if not first:
        return entry_before(_FRAMES, pb.RequestFrame(id=request.id, more=more).SerializeToString(), _FRAME_BODY, size)
    head = pb.Request()
    head.CopyFrom(request)
    head.body, head.more = b"", more
    return entry_before(_REQUESTS, head.SerializeToString(), _REQUEST_BODY, size)


def cancel_entry(id_: int) -> bytes:
    return pb.RequestBatch(cancels=[id_]).SerializeToString()


def credit_entry(id_: int, frames: int) -> bytes:
    return pb.RequestBatch(credits=[pb.FrameCredit(id=id_, frames=frames)]).SerializeToString()


# --- answers


def answer_entry(id_: int, answer: Answer) -> bytes:
    """An answer that fits into one entry."""
    if answer[2:-1] == _PLAIN:
        plain = _Response(id=id_, code=answer.code, body=answer.body, flow=answer.flow)
        return entry(_RESPONSES, plain.SerializeToString())
    return entry(_RESPONSES, answer_response(id_, answer).SerializeToString())


def answer_response(id_: int, answer: Answer) -> pb.Response:
    response = _head(id_, answer, answer.body)
    _add_list(response, answer.info)
    return response


def before_answer_frame(id_: int, answer: Answer, size: int, first: bool, more: bool) -> bytes:
    """What comes before a piece of an answer: the first has all but the body, the last what goes around a list."""
    response = _head(id_, answer, b"") if first else _Response(id=id_)
    response.more = more
    if not more:
        _add_list(response, answer.info)
    return entry_before(_RESPONSES, response.SerializeToString(), _RESPONSE_BODY, size)


def _head(id_: int, answer: Answer, body: bytes) -> pb.Response:
    return _Response(
        id=id_,
        code=answer.code,
        body=body,
        warnings=answer.warnings,
        columns=answer.columns,
        moved_to=max(answer.moved_to, 0),
        etag=answer.etag,
        content_type=answer.content_type,
        retry_after_s=answer.retry_after_s,
        audit=answer.audit,
        flow=answer.flow,
        head=answer.head,
    )


def _add_list(response: pb.Response, info: ListInfo | None) -> None:
    if info is not None:
        response.list.CopyFrom(
            pb.ListMetadata(
                revision=info.revision,
                continue_token=info.continue_token,
                remaining_item_count=info.remaining_item_count,
                api_version=info.api_version,
                kind=info.kind,
                items=info.items,
            )
        )


LARGE_BYTES = 16 * 1024


def read_large(message: bytes) -> Iterator[tuple[pb.Response, bytes]]:
    """The answers of a message; a large body beside its response, not in it: it is copied once instead of twice."""
    at, end = 0, len(message)
    while at < end:
        if message[at] != _RESPONSES[0]:  # hello, or what a newer neighbour sends
            for response in pb.ResponseBatch.FromString(message[at:]).responses:
                yield response, response.body
            return
        size, at = read_varint(message, at + 1)
        body = body_at(message, at, at + size, _RESPONSE_BODY[0]) if size >= LARGE_BYTES else -1
        if body < 0:
            response = pb.Response.FromString(message[at : at + size])
            yield response, response.body
        else:
            start = read_varint(message, body + 1)[1]
            yield pb.Response.FromString(message[at:body]), message[start : at + size]
        at += size


def list_info(response: pb.Response) -> ListInfo | None:
    if not response.HasField("list"):
        return None
    found = response.list
    return ListInfo(
        found.revision,
        found.continue_token,
        found.remaining_item_count,
        found.api_version,
        found.kind,
        found.items,
    )


def result_of(response: pb.Response, body: bytes, info: ListInfo | None) -> Result:
    code = response.code
    return Result(
        code,
        body,
        info,
        tuple(response.warnings),
        response.columns,
        response.moved_to if code == 421 else -1,
        response.etag,
        response.content_type,
        response.retry_after_s,
        response.audit,
        response.flow,
    )

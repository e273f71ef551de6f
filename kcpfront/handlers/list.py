"""Lists: pieces of a shard's answer, joined by what goes around the items; long ones leave while they arrive."""

import asyncio
import zlib
from collections.abc import AsyncIterator

from kcpfront import options, tables
from kcpfront.exchange import Exchange, Reply
from kcpfront.negotiation import JSON, PLAIN, PROTOBUF, TABLE, Representation, negotiate
from kcpfront.protobuf.facts import message_of, resource_kind
from kcpfront.protobuf.objects import PARTIAL as PARTIAL_MESSAGE
from kcpfront.protobuf.objects import NoProtobuf, encode_list
from kcpfront.rendering import finished_reply, renderer_for, reply_of, shown_items
from kcpfront.representations import around_items, has_protobuf, wants_pretty
from kcpfront.responses import (
    CHUNKED,
    LAST_CHUNK,
    encode_head,
    flow_headers,
    list_after,
    list_around,
    list_metadata,
    warning_headers,
)
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Caller, ListStream, Result
from kcpshard.workers.loop_turns import LoopTurns
from kcpshard.workers.pool import WorkerPool

# kube-apiserver's threshold: below it compressing costs more than it saves.
COMPRESS_BYTES = 128 * 1024


class ListHandler:
    def __init__(self, caller: Caller, workers: WorkerPool) -> None:
        self._caller, self._workers = caller, workers
        self._turns = LoopTurns()

    async def list(self, exchange: Exchange) -> Reply | None:
        accept = exchange.headers.get("Accept")
        shown = (
            PLAIN
            if accept is None or accept == "application/json"
            else negotiate(accept, has_protobuf(exchange), streamed=True)
        )
        if refusal := tables.wrong_shape(shown.as_, is_list=True):
            raise refusal
        request = options.new_request(exchange, pb.LIST)
        options.set_list_options(request, exchange.info)
        request.want_columns = shown.as_ == TABLE
        answer = await self._caller.list(request, exchange.deadline)
        if answer.flow:
            exchange.flow = flow_headers(answer.flow)
        if exchange.audit is not None:
            exchange.audit.told(answer.audit, answer.body if isinstance(answer, Result) else b"")
        if isinstance(answer, Result):
            return await reply_of(self._workers, exchange, shown, answer)
        try:
            if shown.media_type is PROTOBUF:
                return await self._protobuf(exchange, shown, answer)
            if shown is not PLAIN or wants_pretty(exchange):
                return await self._represented(exchange, shown, answer)
            if answer.complete:
                return await self._whole(exchange, answer)
            await self._streamed(exchange, answer)
            return None
        finally:
            answer.close()

    async def _whole(self, exchange: Exchange, stream: ListStream) -> Reply | None:
        pieces = [piece async for piece in stream]
        assert stream.info is not None
        before, after = list_around(stream.info)
        pieces = [before, *pieces, after]
        if exchange.audit is not None and exchange.audit.wants_answer:
            exchange.audit.answer = b"".join(pieces)
        length = sum(map(len, pieces))
        if length >= COMPRESS_BYTES and accepts_gzip(exchange):
            return await self._maybe_compressed(exchange, stream, b"".join(pieces), JSON)
        headers = warning_headers(stream.warnings) if stream.warnings else b""
        pieces[0] = encode_head(exchange, stream.code, JSON, f"Content-Length: {length}", headers) + before
        exchange.started = True
        exchange.connection.write_all(pieces)
        return None

    async def _maybe_compressed(self, exchange: Exchange, stream: ListStream, body: bytes, content_type: str) -> Reply:
        headers = warning_headers(stream.warnings) if stream.warnings else b""
        if len(body) >= COMPRESS_BYTES and accepts_gzip(exchange):
            body = await asyncio.get_running_loop().run_in_executor(None, _gzip, body)
            headers += b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
        return Reply(stream.code, body, content_type, headers)

    async def _protobuf(self, exchange: Exchange, shown: Representation, stream: ListStream) -> Reply:
        """Whole, as the length of a protobuf list comes before its items; encoded slice by slice."""
        pieces: list[bytes] = []
        renderer = renderer_for(exchange, shown, stream.columns, _item_message(exchange, shown))
        source = aiter(stream)
        try:
            items = await shown_items(_remembered(source, pieces), renderer, self._workers, self._turns)
        except NoProtobuf:
            pieces += [piece async for piece in source]
            assert stream.info is not None
            before, after = list_around(stream.info)
            return await self._maybe_compressed(exchange, stream, before + b"".join(pieces) + after, JSON)
        info = stream.info
        assert info is not None
        if shown.as_:
            info = info._replace(api_version=f"meta.k8s.io/{shown.version}", kind=shown.as_)
        await asyncio.sleep(0)  # each copy of megabytes in a turn of its own
        body = encode_list(info.api_version, info.kind, list_metadata(info), items)
        return await self._maybe_compressed(exchange, stream, body, PROTOBUF)

    async def _represented(self, exchange: Exchange, shown: Representation, stream: ListStream) -> Reply:
        """Forms that are sent when they are complete."""
        if shown.as_:
            renderer = renderer_for(exchange, shown, stream.columns, "")
            pieces = [await shown_items(aiter(stream), renderer, self._workers, self._turns)]
            assert stream.info is not None
            before, after = around_items(exchange, shown, stream.info, stream.columns)
        else:
            pieces = [piece async for piece in stream]
            assert stream.info is not None
            before, after = list_around(stream.info)
        headers = warning_headers(stream.warnings) if stream.warnings else b""
        body = b"".join((before, *pieces, after))
        if exchange.audit is not None and exchange.audit.wants_answer:
            exchange.audit.answer = body
        await asyncio.sleep(0)  # each copy of megabytes in a turn of its own
        return await finished_reply(self._workers, exchange, shown, stream.code, body, headers)

    async def _streamed(self, exchange: Exchange, stream: ListStream) -> None:
        """Chunks as they come. What goes around the items is known only at the end, so the items go first."""
        connection = exchange.connection
        if exchange.audit is not None:
            exchange.audit.is_cut = exchange.audit.wants_answer  # it is larger than what is recorded of a body
        headers = warning_headers(stream.warnings) if stream.warnings else b""
        gzip = _Gzip() if accepts_gzip(exchange) else None
        if gzip is not None:
            headers += b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
        head = encode_head(exchange, stream.code, "application/json", CHUNKED, headers)
        exchange.started = True
        connection.write(head)
        await self._send(exchange, gzip, b'{"items":[', last=False)
        async for piece in stream:
            await self._send(exchange, gzip, piece, last=False)
            # A quarter of a megabyte to encrypt: clients of one logical cluster take turns, others pass.
            await self._turns.turn(exchange.info.cluster)
        if stream.info is None:
            raise ServiceUnavailable("the list ended early")
        await self._send(exchange, gzip, list_after(stream.info), last=True)
        connection.write(LAST_CHUNK)

    async def _send(self, exchange: Exchange, gzip: "_Gzip | None", data: bytes, last: bool) -> None:
        if gzip is not None:
            data = await asyncio.get_running_loop().run_in_executor(None, gzip.feed, data, last)
        if data:
            exchange.connection.write_all((b"%x\r\n" % len(data), data, b"\r\n"))  # joined if that is cheaper
            await exchange.connection.drain()


async def _remembered(source: AsyncIterator[bytes], pieces: list[bytes]) -> AsyncIterator[bytes]:
    async for piece in source:
        pieces.append(piece)
        yield piece


def _item_message(exchange: Exchange, shown: Representation) -> str:
    if shown.as_:
        return PARTIAL_MESSAGE
    info = exchange.info
    kind = resource_kind(info.group, info.version, info.resource, info.subresource)
    return message_of(*kind) if kind is not None else ""


def accepts_gzip(exchange: Exchange) -> bool:
    encodings = exchange.headers.get("Accept-Encoding")
    return encodings is not None and "gzip" in encodings and "gzip;q=0" not in encodings.replace(" ", "")


class _Gzip:
    """A gzip stream fed piece by piece on a thread: zlib works without the GIL."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(1, zlib.DEFLATED, 31)

    def feed(self, data: bytes, last: bool) -> bytes:
        out = self._compressor.compress(data)
        return out + self._compressor.flush() if last else out


def _gzip(data: bytes) -> bytes:
    return _Gzip().feed(data, last=True)

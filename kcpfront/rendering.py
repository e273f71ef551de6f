"""Representations without holding the loop: item by item in slices, or in a worker process where one piece is large.

Decides how much is done at once. What a representation is, is `representations`' and `tables`' business; here they are
only called from elsewhere: the functions below that take `(payload, ask)` are those that worker processes run. Both
ends of the pipe are this program, so what crosses it is pickled.
"""

import asyncio
import pickle
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson

from kcpfront import tables
from kcpfront.exchange import Exchange, Reply
from kcpfront.negotiation import JSON, PROTOBUF, TABLE, YAML, Representation
from kcpfront.protobuf.objects import NoProtobuf, encode_item
from kcpfront.representations import finished, result_reply, wants_pretty
from kcpfront.request_info import RequestInfo
from kcpshard.api.errors import ApiError
from kcpshard.rpc.contract import Result
from kcpshard.workers.loop_turns import LoopTurns
from kcpshard.workers.pool import WorkerPool
from kcpshard.workers.process import Ask

# Decoding that many bytes and showing them otherwise takes 1 to 4 ms.
LARGE_BYTES = 128 * 1024
_SLICE = 32  # objects shown before the loop is free again: 1 to 4 ms
_MEDIA_TYPES = {name: name for name in (JSON, YAML, PROTOBUF)}  # compared by identity elsewhere


class Asked(NamedTuple):
    """What representations look at of an exchange."""

    info: RequestInfo
    user_agent: str


class Renderer(NamedTuple):
    """How each item of a list is shown."""

    form: str  # Table, PROTOBUF, or anything else: partial metadata
    version: str
    message: str  # with PROTOBUF; "" has no form
    include: str  # with Table
    info: RequestInfo
    columns: bytes
    now: float

    def show(self, items: list[dict[str, Any]]) -> bytes:
        """Joined as they stand in a list of that form. Raises NoProtobuf."""
        if self.form == PROTOBUF:
            return b"".join([encode_item(self.message, item) for item in items])
        dumps = orjson.dumps
        if self.form != TABLE:
            return b",".join([dumps(tables.partial(item, self.version)) for item in items])
        printer = tables.printer_for(self.info, self.columns)
        row, include, version, now = tables.row, self.include, self.version, self.now
        return b",".join([dumps(row(printer, item, include, version, now)) for item in items])


async def shown_items(source: AsyncIterator[bytes], renderer: Renderer, workers: WorkerPool, turns: LoopTurns) -> bytes:
    """The items of a list, shown as they stand in it. Raises NoProtobuf.

    A piece usually holds whole items; one that does not waits for its rest. So as not to try in vain again and again, a
    large text that was not whole is looked at next when it has doubled.
    """
    found: list[bytes] = []
    text, again = b"", 0
    async for piece in source:
        text += piece
        if len(text) >= again:
            if await _show(text, renderer, found, workers, turns):
                text, again = b"", 0
            elif len(text) > LARGE_BYTES:
                again = 2 * len(text)
    if text and not await _show(text, renderer, found, workers, turns):
        raise NoProtobuf("the last item is not whole") if renderer.form == PROTOBUF else ValueError("half an item")
    await asyncio.sleep(0)
    return (b"" if renderer.form == PROTOBUF else b",").join(found)


async def _show(text: bytes, renderer: Renderer, found: list[bytes], workers: WorkerPool, turns: LoopTurns) -> bool:
    """False if the text is not whole items."""
    if len(text) > LARGE_BYTES:
        shown: bytes | None = await _elsewhere(workers, renderer.info, "items", (text, renderer))
        if shown is None:
            return False
        found.append(shown)
        return True
    try:
        items: list[dict[str, Any]] = orjson.loads(b"[" + text.strip(b",") + b"]")
    except orjson.JSONDecodeError:
        return False
    for start in range(0, len(items), _SLICE):
        found.append(renderer.show(items[start : start + _SLICE]))
        await turns.turn(renderer.info.cluster)
    return True


def renderer_for(exchange: Exchange, shown: Representation, columns: bytes, message: str) -> Renderer:
    """Raises BadRequest for parameters that no table understands."""
    form = shown.media_type if shown.media_type is PROTOBUF else shown.as_
    include = tables.include_object(exchange.info) if form == TABLE else ""
    return Renderer(form, shown.version, message, include, exchange.info, columns, time.time())


async def reply_of(workers: WorkerPool, exchange: Exchange, shown: Representation, result: Result) -> Reply:
    """As `representations.result_reply`."""
    if _is_quick(exchange, shown, len(result.body)):
        return result_reply(exchange, shown, result)
    found: Reply = await _elsewhere(workers, exchange.info, "result", (exchange.user_agent, shown, result))
    return found


async def finished_reply(
    workers: WorkerPool, exchange: Exchange, shown: Representation, code: int, body: bytes, headers: bytes = b""
) -> Reply:
    """As `representations.finished`."""
    if _is_quick(exchange, shown, len(body)):
        return finished(exchange, shown, code, body, headers)
    arguments = (exchange.user_agent, shown, code, body, headers)
    found: Reply = await _elsewhere(workers, exchange.info, "finish", arguments)
    return found


def _is_quick(exchange: Exchange, shown: Representation, size: int) -> bool:
    return size <= LARGE_BYTES or (shown.plain and not wants_pretty(exchange))


# --- both ends of the pipe


async def _elsewhere(workers: WorkerPool, info: RequestInfo, function: str, arguments: tuple[Any, ...]) -> Any:
    """Call one of the functions below in a worker. Raises what it raises, of what a client may be told."""
    payload = pickle.dumps((info, arguments), 5)
    await asyncio.sleep(0)  # each copy of megabytes in a turn of its own
    answer = await workers.run(info.cluster, f"{__name__}:{function}_job", payload)
    await asyncio.sleep(0)
    found = pickle.loads(answer)  # noqa: S301 - made by our own process
    if isinstance(found, ApiError | NoProtobuf):
        raise found
    return found


def _answered(found: Any) -> bytes:
    return pickle.dumps(found, 5)


def _representation(shown: Representation) -> Representation:
    return shown._replace(media_type=_MEDIA_TYPES[shown.media_type])


def items_job(payload: bytes, ask: Ask) -> bytes:
    _, (text, renderer) = pickle.loads(payload)  # noqa: S301 - made by our own process
    try:
        items = orjson.loads(b"[" + text.strip(b",") + b"]")
    except orjson.JSONDecodeError:
        return _answered(None)
    try:
        return _answered(renderer.show(items))
    except NoProtobuf as error:
        return _answered(error)


def result_job(payload: bytes, ask: Ask) -> bytes:
    info, (user_agent, shown, result) = pickle.loads(payload)  # noqa: S301 - made by our own process
    try:
        return _answered(result_reply(Asked(info, user_agent), _representation(shown), result))
    except ApiError as error:
        return _answered(error)


def finish_job(payload: bytes, ask: Ask) -> bytes:
    info, (user_agent, shown, code, body, headers) = pickle.loads(payload)  # noqa: S301 - made by our own process
    return _answered(finished(Asked(info, user_agent), _representation(shown), code, body, headers))

"""Lists over many logical clusters: one cut over all shards, their answers joined.

Decides the revision of the cut (the newest that any shard has told, or the one asked for), which shards a page comes
from, and what goes around the items. Every shard is asked to stay above that revision and reads at it. Without a limit
all are asked at the same time and read one after the other; a page goes through them in order of number until it is
full. A shard that does not answer fails the list: it is never silently narrowed.
"""

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from kcpshard.api.errors import BadRequest, ServiceUnavailable
from kcpshard.api.points_in_time import point_in_time
from kcpshard.api.requests import ListInfo
from kcpshard.api.resource_versions import list_revision
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Caller, ListStream, Result

_NOT_FOUND, _EXPIRED = 404, 410
_HANDED_OVER_S, _PAUSE_S = 5.0, 0.05  # a hand-over takes tens of milliseconds; its end is noticed within a second


class Page:
    """Where a page begins: the shard, the revision of the cut, and the shard's own token."""

    __slots__ = ("revision", "shard", "token")

    def __init__(self, shard: int, revision: int, token: str) -> None:
        self.shard, self.revision, self.token = shard, revision, token

    def encode(self) -> str:
        raw = orjson.dumps(["k*", self.shard, self.revision, self.token])
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_page(text: str) -> Page:
    """Raises BadRequest."""
    try:
        raw = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        raw = None
    match raw:
        case ["k*", int(shard), int(revision), str(token)]:
            return Page(shard, revision, token)
    raise BadRequest("invalid continue token: continue key is not valid: it was not made by this server")


class WildcardLists:
    def __init__(self, callers: Callable[[], Mapping[int, Caller]]) -> None:
        """The shards there are now, by number."""
        self._callers = callers

    async def list(self, request: pb.Request, deadline: float) -> ListStream | Result:
        """As Caller.list. Raises ServiceUnavailable, BadRequest, Invalid.

        While a logical cluster is handed over from one shard to another neither can show it: whoever has not asked for
        a certain revision is shown a newer one.
        """
        is_fixed = request.continue_token or request.at or request.resource_version not in ("", "0")
        last_try = min(deadline, asyncio.get_running_loop().time() + _HANDED_OVER_S)
        while True:
            answer = await self._list(request, deadline)
            is_moving = isinstance(answer, Result) and answer.code == _EXPIRED and not is_fixed
            if not is_moving or asyncio.get_running_loop().time() > last_try:
                return answer
            await asyncio.sleep(_PAUSE_S)

    async def _list(self, request: pb.Request, deadline: float) -> ListStream | Result:
        shards = self._shards()
        wanted = list_revision(
            request.resource_version, request.resource_version_match, request.limit, request.continue_token
        )
        page = decode_page(request.continue_token) if request.continue_token else None
        revision = page.revision if page is not None else wanted.exact
        if request.at and page is None:
            revision = point_in_time(request.at, time.time_ns() // 1000)
        if not revision and (len(shards) > 1 or wanted.minimum):
            newest = await self.newest(request, deadline)
            if isinstance(newest, Result):
                return newest
            revision = max(newest, wanted.minimum)
        asked = pb.Request()
        asked.CopyFrom(request)
        asked.verb, asked.cut = pb.LIST_MANY, revision
        asked.resource_version = asked.resource_version_match = asked.at = ""
        asked.continue_token = page.token if page is not None else ""
        if not request.limit and page is None:
            return await self._all(shards, asked, deadline)
        return await self._page([n for n in shards if page is None or n >= page.shard], asked, deadline)

    async def newest(self, request: pb.Request, deadline: float) -> int | Result:
        """The newest revision of all shards; a Result if one refuses to say."""
        cut = pb.Request(verb=pb.CUT, cluster=request.cluster, identity=request.identity)
        asked = [self._callers()[number].call(cut_of(cut), deadline) for number in self._shards()]
        found = 0
        try:
            for each in asked:
                answer = await each
                if answer.code != 200:
                    return answer
                found = max(found, int(answer.body))
        finally:
            _cancel(asked)
        return found

    def _shards(self) -> Sequence[int]:
        shards = sorted(self._callers())
        if not shards:
            raise ServiceUnavailable("no shard is known yet", retry_after_s=1)
        return shards

    async def _all(self, shards: Sequence[int], asked: pb.Request, deadline: float) -> ListStream | Result:
        waiting = [self._callers()[number].list(cut_of(asked), deadline) for number in shards]
        streams: Sequence[ListStream] = ()
        missing: Result | None = None
        try:
            for each in waiting:
                answer = await each
                if not isinstance(answer, Result):
                    streams = (*streams, answer)
                elif answer.code == _NOT_FOUND:
                    missing = answer  # nobody there serves the type; elsewhere it may be served
                else:
                    _close(streams)
                    return answer
        except BaseException:
            _close(streams)
            raise
        finally:
            _cancel(waiting)
        if not streams and missing is not None:
            return missing
        return JoinedLists(streams, "")

    async def _page(self, shards: Sequence[int], asked: pb.Request, deadline: float) -> ListStream | Result:
        """Shard after shard until the page is full. Each is at most as long as the limit, so it is read whole."""
        left = asked.limit
        streams: Sequence[_Whole] = []
        missing: Result | None = None
        for at, number in enumerate(shards):
            request = cut_of(asked)
            request.limit = left
            answer = await self._callers()[number].list(request, deadline)
            if isinstance(answer, Result):
                if answer.code != _NOT_FOUND:
                    return answer
                missing = answer
                continue
            whole = await read_whole(answer)
            streams = (*streams, whole)
            asked.continue_token, asked.cut = "", whole.revision
            left -= min(left, whole.items) if asked.limit else 0
            if whole.token:
                return JoinedLists(streams, Page(number, asked.cut, whole.token).encode())
            if asked.limit and not left:
                more = shards[at + 1 :]
                return JoinedLists(streams, Page(more[0], asked.cut, "").encode() if more else "")
        if not streams and missing is not None:
            return missing
        return JoinedLists(streams, "")


def cut_of(request: pb.Request) -> pb.Request:
    """A copy for one shard: its client fills in ids."""
    copy = pb.Request()
    copy.CopyFrom(request)
    return copy


def _cancel(asked: Sequence[Awaitable[Any]]) -> None:
    """Those that have not been answered; nothing happens to the others."""
    for each in asked:
        if isinstance(each, asyncio.Future):
            each.cancel()


def _close(streams: Sequence[ListStream]) -> None:
    for stream in streams:
        stream.close()


class _Whole:
    """A list that has been read: a ListStream of one piece."""

    def __init__(self, stream: ListStream, body: bytes, info: ListInfo) -> None:
        self.code, self.columns, self.audit = stream.code, stream.columns, stream.audit
        self.warnings: Sequence[str] = stream.warnings
        self.flow, self.head = stream.flow, b""
        self.complete, self._body = True, body
        self.info: ListInfo | None = info
        self.items, self.token, self.revision = info.items, info.continue_token, info.revision

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._body:
            yield self._body

    def close(self) -> None:
        """Nothing is open."""


async def read_whole(stream: ListStream) -> _Whole:
    """Raises ServiceUnavailable if it ends early."""
    try:
        body = b"".join([piece async for piece in stream])
    finally:
        stream.close()
    if stream.info is None:
        raise ServiceUnavailable("the list ended early")
    return _Whole(stream, body, stream.info)


class JoinedLists:
    """Several lists as one ListStream, in their order; `token` goes on behind them."""

    def __init__(self, streams: Sequence[ListStream], token: str) -> None:
        first = streams[0]
        self.code, self.audit, self.flow, self.head = first.code, first.audit, first.flow, b""
        self.columns = next((s.columns for s in streams if s.columns), b"")
        self.warnings: Sequence[str] = tuple(dict.fromkeys(text for s in streams for text in s.warnings))
        self.complete = all(s.complete for s in streams)
        self._streams, self._token = streams, token
        self.info: ListInfo | None = None
        if self.complete:
            self._finish()

    def _finish(self) -> None:
        found = self._streams[0].info
        if found is None or any(s.info is None for s in self._streams):
            raise ServiceUnavailable("the list ended early")
        self.info = found._replace(continue_token=self._token)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        begun = False
        for stream in self._streams:
            is_first = True
            async for piece in stream:
                if not piece:
                    continue
                if begun and is_first:
                    yield b"," + piece
                else:
                    yield piece
                begun, is_first = True, False
        if self.info is None:
            self._finish()

    def close(self) -> None:
        _close(self._streams)

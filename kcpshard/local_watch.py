"""A WatchTransport to a shard in this process: the messages of the streams, without streams.

Messages are handed over as they are; a reader that does not read is cut off as over gRPC. For embedding and for
tests of what is around it.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.watch_client import StreamBroken, WatchStream
from kcpshard.watch_link import FrontLink, LinkClosed
from kcpshard.watch_service import WatchService


class LocalWatchTransport:
    """The two streams are opened in the order that WatchClient opens them: Watch, then CatchUp within it."""

    def __init__(self, service: WatchService) -> None:
        self._service = service
        self._link: FrontLink | None = None

    def watch(self) -> AbstractAsyncContextManager[WatchStream]:
        return self._open_watch()

    def catch_up(self) -> AbstractAsyncContextManager[WatchStream]:
        return self._open_catch_up()

    def cut(self) -> None:
        """As if the connection broke."""
        if self._link is not None:
            self._link.close()

    @asynccontextmanager
    async def _open_watch(self) -> AsyncIterator[WatchStream]:
        self._link = link = self._service.open()
        try:
            yield _LocalStream(self._service, link, is_live=True)
        finally:
            link.close()

    @asynccontextmanager
    async def _open_catch_up(self) -> AsyncIterator[WatchStream]:
        if self._link is None:
            raise StreamBroken("open the Watch stream first")
        yield _LocalStream(self._service, self._link, is_live=False)


class _LocalStream:
    def __init__(self, service: WatchService, link: FrontLink, is_live: bool) -> None:
        self._link, self._is_live = link, is_live
        self._read = [pb.WatchBatch(hello=service.hello())]  # what is to be read next, newest first

    async def read(self) -> pb.WatchBatch:
        if self._read:
            return self._read.pop()
        try:
            if self._is_live:
                return await self._link.next_live()
            self._read = (await self._link.next_catch_up())[::-1]
        except LinkClosed:
            raise StreamBroken("the shard has ended the stream") from None
        return self._read.pop()

    async def write(self, batch: pb.WatchControlBatch) -> None:
        if self._link.link.broken:
            raise StreamBroken("the shard has ended the stream")
        self._link.receive(batch)

"""What callers of a shard hold on to: the shapes of the session client, the watch client and the front's router.

`rpc.client.ShardClient` and `rpc.watch_client.WatchClient` talk to one shard; `kcpfront.routing.router.Router` offers
the same calls for any logical cluster, following the shard map and 421 answers.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from kcpshard.api.requests import ListInfo
from kcpshard.rpc import shard_pb2 as pb


class Result(NamedTuple):
    """A whole answer. For a list `body` is the items joined by commas and `info` what goes around them."""

    code: int
    body: bytes
    info: ListInfo | None = None
    warnings: Sequence[str] = ()
    columns: bytes = b""
    moved_to: int = -1  # ≥ 0 with code 421
    etag: str = ""
    content_type: str = ""
    retry_after_s: int = 0
    audit: bytes = b""  # JSON, see Response.audit; only of a request with an audit id
    flow: bytes = b""  # see Response.flow


class ListStream(Protocol):
    """A list that may be long. Iterate for the pieces of its body; the shard stays at most 16 frames ahead.

    Leaving early: `close()`. After the last piece `info` is set. A failure in the middle raises ServiceUnavailable.
    """

    code: int
    columns: bytes
    audit: bytes  # as of Result
    warnings: Sequence[str]
    flow: bytes
    info: ListInfo | None
    head: bytes  # of a request that was forwarded, see Response.head
    complete: bool  # the first piece was the only one: `info` is set already

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def close(self) -> None: ...


class Upgraded(Protocol):
    """A request of an upgraded connection, answered: with code 101 in `head` bytes go both ways from here on, with
    another one `body` is all of the answer. To be closed."""

    head: bytes  # as of ListStream
    body: bytes
    audit: bytes

    async def read(self) -> bytes:
        """b"" when the other side has ended. Raises ConnectionError."""

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more. Raises ConnectionError."""

    async def end(self) -> None:
        """Nothing more is written; what has been still arrives."""

    def close(self) -> None: ...


class Caller(Protocol):
    """Raises ServiceUnavailable when no shard answers, Timeout when the deadline passes. Deadlines are loop times."""

    def call(self, request: pb.Request, deadline: float) -> Awaitable[Result]:
        """Everything but lists; cancelling it sends a Cancel. `id`, `request_id` and `timeout_ms` are filled in."""

    def list(self, request: pb.Request, deadline: float) -> Awaitable[ListStream | Result]:
        """A Result where the answer is a Status (code ≥ 400) or 421."""

    def connect(self, request: pb.Request, deadline: float) -> Awaitable[Upgraded | Result]:
        """A FORWARD whose connection is to be upgraded. Never sent twice to one shard; `timeout_ms`, the life of the
        connection, is the caller's; the deadline is that of the answer."""


class Connection(Protocol):
    """Bytes both ways between a client and another server. Whoever has it closes it."""

    head: bytes  # JSON {"code", "headers": [[name, value]…]}: what the other server has answered

    async def read(self) -> bytes:
        """The next bytes, empty after the last. Raises ApiError where it broke."""

    async def write(self, data: bytes) -> None:
        """Returns when more may be written. Raises ApiError where nobody takes it any more."""

    async def close(self) -> None: ...


class Connector(Protocol):
    async def connect(self, shard: int, ticket: bytes, head: bytes, deadline: float) -> Connection:
        """Use what a shard has offered (code 472): once, within seconds. Raises ApiError."""


class WatchedEvent:
    """One event, shared by every watch of this process that wants it; `frames` caches it per representation."""

    __slots__ = ("frames", "object", "position", "revision", "type")

    def __init__(self, type_: int, revision: int, object_: bytes, position: str = "") -> None:
        self.type, self.revision, self.object, self.position = type_, revision, object_, position
        self.frames: dict[str, bytes] = {}


class WatchSink(Protocol):
    """The HTTP side of one watch. Called on the loop, in order; must neither raise nor wait.

    What it cannot pass on fast enough it holds, and calls `WatchHandle.pause` before that is too much.
    """

    def started(self) -> None:
        """The shard has accepted the watch: time to send headers. Called once, before anything else but `ended`;
        an `ended` before it is an answer of its own (404, 403), one after it an ERROR event."""

    def event(self, event: WatchedEvent) -> None: ...
    def initial_done(self, revision: int) -> None:
        """All initial events have been given; they show the state at `revision`."""

    def ended(self, status: bytes) -> None:
        """A JSON Status (410 Expired, …); nothing follows. Breaks that a resume heals are not reported."""


class WatchHandle(Protocol):
    @property
    def revision(self) -> int:
        """Everything up to here has been given to the sink: the value of a bookmark. 0 during initial events."""

    @property
    def complete(self) -> int:
        """As `revision`, and surely: where the last commit may not have been given whole yet, the one before."""

    @property
    def columns(self) -> bytes:
        """JSON additionalPrinterColumns, if asked for and declared; known once `started`."""

    @property
    def kind(self) -> str:
        """Of the objects ("ConfigMap"), for bookmarks; known once `started`. Of a watch of many logical clusters: empty
        if none of this shard's serves the type."""

    @property
    def audit(self) -> bytes:
        """WatchStarted.audit, if asked for; known once `started`."""

    def pause(self) -> None:
        """Give the sink nothing until `resume`. The shard keeps nothing for a paused watch: it goes on from the log or
        from its place in the initial events. May be called from within `WatchSink.event`."""

    def resume(self) -> None: ...

    def close(self) -> None: ...


class Watcher(Protocol):
    def watch(self, start: pb.StartWatch, sink: WatchSink) -> WatchHandle:
        """Start and keep going over shard restarts and moves until closed or ended. `id` is filled in here."""


MovedWatch = Callable[[WatchHandle, pb.StartWatch, int], None]
"""What a WatchClient calls (attribute `on_moved`) when the shard gave a watch's logical cluster up: the handle, which
is dead from here on; a StartWatch that goes on exactly where it ended, also inside the initial events; the shard to
ask, 0 if only the map can tell. Never called from within `watch`."""


class ShardChannels(Protocol):
    """The front's connections: one Caller and one Watcher per shard number of the newest map."""

    @property
    def callers(self) -> Mapping[int, Caller]: ...
    @property
    def watchers(self) -> Mapping[int, Watcher]: ...
    def update(self, shards: Sequence[pb.ShardEntry]) -> None:
        """A new map: connect to shards that are new or have another address, let go of those that are gone."""

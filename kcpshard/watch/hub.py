"""Open watches of all fronts, live and lagging: the asyncio edge between commits and streams.

A commit wakes only the streams with a watch in its bucket, once per loop turn (an event set twice is set once). Decides
nothing about events (see `bucket`, `cursor`); leaves messages and streams to `watch_service`.

    start ─► unborn (by path) ──birth──► live (bucket)          stop, end, broken stream: from anywhere to gone
        └──► lagging (cursor) ──caught up──► live
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kcpshard.api.events import Change, Commit
from kcpshard.watch.bucket import Bucket, LiveEvent
from kcpshard.watch.cursor import Cursor
from kcpshard.watch.everywhere import NotReady, View, WildcardCursor
from kcpshard.watch.history import History
from kcpshard.watch.selection import Selection

LOGICAL_CLUSTERS = "logicalclusters.core.kcp.io"  # one in each logical cluster
BucketKey = tuple[int, str]
# What an event takes in the queue beside its object: the tuple, the message's other fields.
_EVENT_BYTES = 120


class Ended(NamedTuple):
    """`status` is a JSON Status; empty: resume elsewhere (`moved`) or later."""

    watch: int
    status: bytes = b""
    moved: bool = False
    moved_to: int = 0
    revision: int = 0  # with moved: complete up to here


class Joined(NamedTuple):
    watch: int
    revision: int
    cluster_id: int


class Watch:
    """One watch of one front. `cluster_id` is 0 until its logical cluster is born; `place` says where it is filed."""

    __slots__ = (
        "cluster_id",
        "cursor",
        "doubted",
        "group_resource",
        "id",
        "identity",
        "link",
        "path",
        "proof",
        "selection",
        "unborn",
        "view",
    )

    def __init__(
        self,
        id_: int,
        link: "Link",
        path: str,
        group_resource: str,
        selection: Selection,
        identity: bytes = b"",
        proof: bytes = b"",
    ) -> None:
        self.id, self.link, self.path, self.identity = id_, link, path, identity
        self.group_resource, self.selection = group_resource, selection
        self.cluster_id = 0  # ≠ 0: live, filed in a bucket
        self.unborn = False  # filed under its path
        self.cursor: Cursor[Any] | WildcardCursor | None = None  # lagging
        self.doubted = False  # lagging, and rights may have changed since it began
        self.view: View | None = None  # of many logical clusters
        self.proof = proof  # what must stay true of the credential that it began with


class Link:
    """One front's pair of streams: its watches, and what waits to be written to it. Bounded: see `Hub.queue_bytes`."""

    __slots__ = (
        "broken", "ended", "events", "joined", "lagging", "lagging_wake", "live_wake", "on_cut", "queued_bytes",
        "views", "watches",
    )  # fmt: skip

    def __init__(self) -> None:
        self.watches: dict[int, Watch | None] = {}  # None: accepted for looking at, see watch_service
        self.events: deque[LiveEvent] = deque()
        self.joined: list[Joined] = []
        self.ended: list[Ended] = []
        self.queued_bytes = 0
        self.live_wake = asyncio.Event()
        self.lagging: deque[Watch] = deque()
        self.lagging_wake = asyncio.Event()
        self.broken = False
        self.views = 0  # watches of many logical clusters
        self.on_cut: Callable[[], None] = lambda: None  # ends the streams

    def put(self, event: LiveEvent) -> None:
        self.events.append(event)
        self.queued_bytes += len(event.object) + _EVENT_BYTES
        self.live_wake.set()

    def take(self, max_events: int, max_bytes: int) -> list[LiveEvent]:
        """The oldest queued events, at least one if there is any. A revision stays whole, up to twelve times the size:
        what a reader has seen of it is then all of it."""
        taken: list[LiveEvent] = []
        events, size = self.events, 0
        while events:
            size += len(events[0].object) + _EVENT_BYTES
            full = len(taken) >= max_events or size > max_bytes
            if full and taken and (taken[-1].revision != events[0].revision or size > 12 * max_bytes):
                break
            event = events.popleft()
            self.queued_bytes -= len(event.object) + _EVENT_BYTES
            taken.append(event)
        return taken

    def lag(self, watch: Watch, cursor: Cursor[Any] | WildcardCursor) -> None:
        watch.cursor = cursor
        self.lagging.append(watch)
        self.lagging_wake.set()

    def end(self, ended: Ended) -> None:
        """Say on the live stream, after what is queued, that the watch is over. The hub has let go of it."""
        self.ended.append(ended)
        self.live_wake.set()


class Hub:
    """Every open watch of the shard. `history` belongs to it; both see each commit exactly once, in order."""

    def __init__(self, history: History, queue_bytes: int = 8 << 20) -> None:
        self.history = history
        self.queue_bytes = queue_bytes
        self._buckets: dict[BucketKey, Bucket[Link]] = {}
        self._unborn: dict[str, set[Watch]] = {}
        self._links: set[Link] = set()
        self._everywhere: dict[str, dict[int, Watch]] = {}  # live ones of many logical clusters: type → id → watch
        self._numbers: dict[str, int] = {}  # watches that have begun, by path
        self._waiting: set[Link] = set()  # links with a watch that waits for a revision
        self._events = 0
        self._cut = 0
        # What a logical cluster shows from its birth on without holding it: id, group resource → changes.
        self.shown_at_birth: Callable[[int, str], Sequence[Change]] = lambda _id, _type: ()
        self.is_fork: Callable[[int], bool] = lambda _id: False  # whether that is what its tenants have made elsewhere

    # --- commits

    def on_commit(self, commits: Sequence[Commit]) -> None:
        """A group became durable: the listener for ObjectStore.on_commit."""
        buckets, append, everywhere = self._buckets, self.history.append, self._everywhere
        for commit in commits:
            append(commit)
            cluster_id = commit.cluster_id
            if commit.born and commit.born in self._unborn:
                self._bind(commit.born, cluster_id, commit.revision)
            if commit.born and everywhere and self.is_fork(cluster_id):
                for group_resource, each in list(everywhere.items()):
                    for change in self.shown_at_birth(cluster_id, group_resource):
                        self._tell_everywhere(list(each.values()), cluster_id, change)
            for change in commit.changes:
                bucket = buckets.get((cluster_id, change.group_resource))
                if bucket is not None:
                    for link, event in bucket.dispatch(change):
                        self._put(link, event)
                if everywhere and (watches := everywhere.get(change.group_resource)):
                    self._tell_everywhere(list(watches.values()), cluster_id, change)
                if everywhere and change.group_resource == LOGICAL_CLUSTERS:
                    self._foresee(cluster_id)
        for link in self._waiting:
            link.lagging_wake.set()

    def _put(self, link: Link, event: LiveEvent) -> None:
        if link.broken:
            return
        self._events += 1
        link.put(event)
        if link.queued_bytes > self.queue_bytes:
            self._cut += 1
            link.on_cut()

    def _foresee(self, cluster_id: int) -> None:
        """Its LogicalCluster has changed: it may be about to go."""
        for watches in self._everywhere.values():
            for watch in watches.values():
                assert watch.view is not None
                watch.view.foresee(cluster_id)

    def _tell_everywhere(self, watches: Sequence[Watch], cluster_id: int, change: Change) -> None:
        for watch in watches:
            assert watch.view is not None
            try:
                shown = watch.view.show_now(cluster_id, change)
            except NotReady:
                # What decides or converts is not at hand: it starts again and reads this from the log.
                self.stop(watch.link, watch.id)
                watch.link.end(Ended(watch.id))
                continue
            if shown is not None:
                self._put(watch.link, LiveEvent(shown[0], change.revision, shown[1], (watch.id,)))

    def _bind(self, path: str, cluster_id: int, revision: int) -> None:
        """Before the birth's own changes are dispatched: they are the first that its watches see."""
        types = set()
        for watch in self._unborn.pop(path):
            watch.unborn = False
            self._file(watch, cluster_id)
            watch.link.joined.append(Joined(watch.id, revision, cluster_id))
            watch.link.live_wake.set()
            types.add(watch.group_resource)
        for group_resource in types:
            for change in self.shown_at_birth(cluster_id, group_resource):
                for link, event in self._buckets[cluster_id, group_resource].dispatch(change):
                    self._put(link, event)

    # --- watches

    def open(self) -> Link:
        link = Link()
        self._links.add(link)
        return link

    def close(self, link: Link) -> None:
        """The streams are gone: forget everything of that front."""
        link.broken = True
        self._links.discard(link)
        self._waiting.discard(link)
        for watch in list(link.watches.values()):
            if watch is not None:
                self._leave(watch)
        link.watches.clear()
        link.lagging.clear()
        link.events.clear()
        link.queued_bytes = 0

    def begin(self, watch: Watch) -> None:
        watch.link.watches[watch.id] = watch
        watch.link.views += watch.view is not None
        self._numbers[watch.path] = self._numbers.get(watch.path, 0) + 1

    def number(self, path: str) -> int:
        """How many watches of a logical cluster have begun and not ended."""
        return self._numbers.get(path, 0)

    def join(self, watch: Watch, cluster_id: int) -> None:
        """The watch has everything durable; from the next commit on it is live. Same loop turn as the reading."""
        watch.cursor = None
        if watch.view is not None:
            self._everywhere.setdefault(watch.group_resource, {})[watch.id] = watch
        else:
            self._file(watch, cluster_id)

    def await_birth(self, watch: Watch) -> None:
        watch.unborn = True
        self._unborn.setdefault(watch.path, set()).add(watch)

    def stop(self, link: Link, watch_id: int) -> Watch | None:
        """Forget one watch; what is queued for it may still be sent, and is ignored there."""
        watch = link.watches.pop(watch_id, None)
        if watch is not None:
            self._leave(watch)
        return watch

    def await_commits(self, link: Link, waiting: bool) -> None:
        """Wake the link's lagging side at every commit, while it has a watch from a future revision."""
        (self._waiting.add if waiting else self._waiting.discard)(link)

    def end_cluster(self, cluster_id: int, status: bytes, group_resource: str = "") -> None:
        """The logical cluster, or one resource type in it, is gone: its live watches end with this Status."""
        self._end(lambda w: w.cluster_id == cluster_id and group_resource in ("", w.group_resource), Ended(0, status))

    def type_changed(self, cluster_id: int, group_resource: str) -> None:
        """A logical cluster's own definition of it is another: its watches start again, and find out."""
        self.end_cluster(cluster_id, b"", group_resource)
        for watch in self.views():
            if watch.group_resource == group_resource and watch.view is not None:
                watch.view.forget(cluster_id)

    def views(self) -> list[Watch]:
        """Watches of many logical clusters."""
        return [w for link in self._links if link.views for w in link.watches.values() if w is not None and w.view]

    def release(self, path: str, moved_to: int, revision: int) -> None:
        """This shard serves the path no more: its watches go on at another, after `revision`.

        To be called when its last commit here is durable, with the durable revision, in the same loop turn: the shard
        that takes over raises its clock past it, and a later one of ours may be beyond that one's first commit.
        """
        self._end(lambda w: w.path == path, Ended(0, b"", True, moved_to, revision))

    def release_where(self, concerns: Callable[[str], bool], moved_to: int, revision: int) -> None:
        """The same for all paths that it concerns, of logical clusters that are not born."""
        self._end(lambda w: w.unborn and concerns(w.path), Ended(0, b"", True, moved_to, revision))

    def _end(self, concerns: Callable[[Watch], bool], ended: Ended) -> None:
        # Rare, so that an index by path or cluster would cost idle watches more than it saves. Lagging ones find out
        # when they read on.
        for link in self._links:
            over = [w for w in link.watches.values() if w is not None and w.cursor is None and concerns(w)]
            for watch in over:
                self.stop(link, watch.id)
                link.end(ended._replace(watch=watch.id))

    @property
    def is_watched(self) -> bool:
        """Whether any front is connected."""
        return bool(self._links)

    def watches(self) -> list[Watch]:
        """All that have begun."""
        return [w for link in self._links for w in link.watches.values() if w is not None]

    def statistics(self) -> dict[str, int]:
        watches = self.watches()
        return {
            "links": len(self._links),
            "watches": len(watches),
            "lagging": sum(w.cursor is not None for w in watches),
            "unborn": sum(w.unborn for w in watches),
            "buckets": len(self._buckets),
            "queued_bytes": sum(link.queued_bytes for link in self._links),
            "events": self._events,
            "cut": self._cut,
        }

    def _file(self, watch: Watch, cluster_id: int) -> None:
        watch.cluster_id = cluster_id
        key = (cluster_id, watch.group_resource)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket()
        bucket.add(watch.id, watch.selection, watch.link)

    def _leave(self, watch: Watch) -> None:
        self._unfile(watch)
        watch.link.views -= watch.view is not None
        left = self._numbers[watch.path] - 1
        if left:
            self._numbers[watch.path] = left
        else:
            del self._numbers[watch.path]

    def _unfile(self, watch: Watch) -> None:
        if watch.view is not None:
            watches = self._everywhere.get(watch.group_resource, {})
            if watches.pop(watch.id, None) is not None and not watches:
                del self._everywhere[watch.group_resource]
            watch.cursor = None
            return
        if watch.unborn:
            waiting = self._unborn[watch.path]
            waiting.discard(watch)
            if not waiting:
                del self._unborn[watch.path]
        elif watch.cluster_id:
            key = (watch.cluster_id, watch.group_resource)
            if self._buckets[key].remove(watch.id, watch.selection, watch.link):
                del self._buckets[key]
        watch.unborn, watch.cluster_id, watch.cursor = False, 0, None

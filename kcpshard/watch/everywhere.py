"""A watch over many logical clusters: its place in their objects, then in the log of the whole shard.

    INITIAL ──all objects given──► REPLAY ──nothing left at or below the durable revision──► caught up

As `cursor` for one logical cluster: decides what to read next and what of it the watcher sees; no clock, no queue, no
await. Which logical clusters it sees, and in what form, is its view's to say.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from kcpshard.api.events import Change, Commit, EventType
from kcpshard.watch.cursor import FIRST_LIMIT, MAX_LIMIT, Occurrence, Phase, Step
from kcpshard.watch.history import History

_SLICE, _CLUSTERS = 128, 64  # objects and logical clusters looked at in one step
_REPLAYED = 256


class NotReady(Exception):
    """What decides about a change, or converts its object, is not at hand."""


class View(Protocol):
    def show(self, cluster_id: int, change: Change) -> tuple[int, bytes] | None:
        """Event type and object; None: not seen. Raises NotDurable, NotConverted."""

    def show_now(self, cluster_id: int, change: Change) -> tuple[int, bytes] | None:
        """The same where nothing can be waited for. Raises NotReady."""

    def item(self, cluster_id: int, path: str, namespace: str, name: str, value: bytes) -> bytes | None:
        """An object of the first state. Raises NotDurable, NotConverted."""

    def foresee(self, cluster_id: int) -> None:
        """It is about to go: decide now whether it is seen, while that can be told."""

    def forget(self, cluster_id: int) -> None:
        """The type is another one there now."""

    async def changed(self) -> bool:
        """Whether it would show something else now than when it began."""


class FoundItem(Protocol):
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> bytes: ...


class Slice(Protocol):
    @property
    def cluster_id(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def items(self) -> Sequence[FoundItem]: ...


class Scan(Protocol):
    @property
    def is_done(self) -> bool: ...
    def next_slice(self, limit: int, most_clusters: int) -> Sequence[Slice]: ...


class Place(NamedTuple):
    cluster_id: int
    namespace: str
    name: str


class Source(Protocol):
    """What is read; the ObjectStore is one."""

    @property
    def durable_revision(self) -> int: ...
    def log_all(self, after: int, upto: int, limit: int, group_resource: str, retention: int) -> Sequence[Commit]: ...


class NoCluster(NamedTuple):
    """In the place of the logical cluster that other watches have."""

    id: int = 0
    path: str = ""


class WildcardCursor:
    """`revision` as of Cursor. `scan` begins reading the first state at a revision after a place."""

    def __init__(
        self, group_resource: str, retention: int, view: View, phase: Phase, revision: int, after: Place | None,
        scan: Callable[[int, Place | None], Scan],
    ) -> None:  # fmt: skip
        self.cluster = NoCluster()
        self.group_resource, self.retention, self.view = group_resource, retention, view
        self.phase, self.revision, self.after = phase, revision, after
        self._begin, self._scan = scan, None if phase is Phase.REPLAY else scan(revision, after)
        self.limit = FIRST_LIMIT

    def step(self, source: Source, history: History) -> Step:
        """Read one slice. If it raises NotDurable or NotConverted, the next one reads the same again."""
        if self.phase is Phase.REPLAY:
            return self._replay(source, history)
        step = self._initial()
        if not step.initial_done:
            return step
        return step._replace(caught_up=True) if not self._read(source, history) else step

    def _initial(self) -> Step:
        scan, self._scan = self._scan or self._begin(self.revision, self.after), None
        events, after = [], self.after
        for found in scan.next_slice(_SLICE, _CLUSTERS):
            cluster_id, path = found.cluster_id, found.path
            for item in found.items:
                after = Place(cluster_id, item.namespace, item.name)
                shown = self.view.item(cluster_id, path, item.namespace, item.name, item.value)
                if shown is not None:
                    events.append(Occurrence(EventType.ADDED, self.revision, shown, encode_place(after)))
        self._scan, self.after = scan, after
        if not scan.is_done:
            return Step(events)
        self.phase, self._scan = Phase.REPLAY, None
        return Step(events, initial_done=self.revision)

    def _replay(self, source: Source, history: History) -> Step:
        commits = self._read(source, history)
        if not commits:
            self.revision = source.durable_revision
            return Step([], caught_up=True)
        events = []
        for commit in commits:
            for change in commit.changes:
                if change.group_resource != self.group_resource:
                    continue
                shown = self.view.show(commit.cluster_id, change)
                if shown is not None:
                    events.append(Occurrence(shown[0], change.revision, shown[1]))
        self.revision = commits[-1].revision
        self.limit = min(MAX_LIMIT, self.limit * 2)
        return Step(events)

    def _read(self, source: Source, history: History) -> Sequence[Commit]:
        upto = source.durable_revision
        if self.revision >= upto:
            return ()
        if history.covers_all(self.revision):
            return history.since_all(self.revision, self.limit)
        return source.log_all(self.revision, upto, _REPLAYED, self.group_resource, self.retention)


def encode_place(place: Place) -> str:
    """No part may contain a slash."""
    return f"{place.cluster_id}/{place.namespace}/{place.name}"


def decode_place(text: str) -> Place:
    cluster_id, namespace, name = text.split("/")
    return Place(int(cluster_id), namespace, name)

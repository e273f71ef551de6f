"""One lagging watcher's place: in the objects of its first state, then in the log of its logical cluster.

Decides what to read next and what of it the watcher sees. No clock, no queue, no await; the caller sends what a step
gives and, when the cursor has caught up, puts the watch into its bucket in the same loop turn.

    INITIAL ──all objects given──► REPLAY ──nothing left at or below the durable revision──► caught up
"""

from collections.abc import Sequence
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar

from kcpshard.api.events import Change, Commit, EventType
from kcpshard.api.unconverted import NotConverted
from kcpshard.watch.history import History
from kcpshard.watch.selection import EVENT_TYPES, Selection

FIRST_LIMIT, MAX_LIMIT = 32, 256
# Between these a step's reading is neither worth many steps nor a burden on the loop and the stream.
_SMALL_BYTES, _LARGE_BYTES = 128 * 1024, 512 * 1024


class Cluster(Protocol):
    @property
    def id(self) -> int: ...


class Item(Protocol):
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> bytes: ...


C_contra = TypeVar("C_contra", bound=Cluster, contravariant=True)
C = TypeVar("C", bound=Cluster)


class Source(Protocol[C_contra]):
    """What a cursor reads; the ObjectStore is one."""

    @property
    def durable_revision(self) -> int: ...
    def scan(
        self, cluster: C_contra, group_resource: str, namespace: str, revision: int, after: tuple[str, str] | None,
        limit: int, retention: int,
    ) -> Sequence[Item]: ...  # fmt: skip
    def log(
        self, cluster: C_contra, after: int, upto: int, limit: int, group_resource: str, retention: int
    ) -> Sequence[Commit]:
        """The last commit may have no changes: it says how far was read."""

    def get_at(
        self, cluster: C_contra, group_resource: str, namespace: str, name: str, revision: int, retention: int, /
    ) -> bytes | None: ...


class Occurrence(NamedTuple):
    """One event for one watcher. `position` only in initial events: where to resume them."""

    type: int
    revision: int
    object: bytes
    position: str = ""


class Step(NamedTuple):
    events: list[Occurrence]
    initial_done: int = 0  # the revision of the state, with the last of the initial events
    caught_up: bool = False  # everything up to cursor.revision has been given


class Phase(Enum):
    INITIAL = 1
    REPLAY = 2


class Cursor(Generic[C]):
    """`revision`: in INITIAL that of the state being shown (0: not begun), in REPLAY the last one given completely."""

    __slots__ = ("after", "cluster", "group_resource", "limit", "phase", "retention", "revision", "selection")

    def __init__(
        self, cluster: C, group_resource: str, retention: int, selection: Selection, phase: Phase, revision: int,
        after: tuple[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.cluster, self.group_resource, self.retention = cluster, group_resource, retention
        self.selection = selection
        self.phase, self.revision, self.after = phase, revision, after
        self.limit = FIRST_LIMIT

    def step(self, source: Source[C], history: History) -> Step:
        """Read one slice. Raises what the source raises for a compacted revision; the cursor is then done with."""
        if self.phase is Phase.REPLAY:
            return self._replay(source, history)
        step = self._initial(source)
        if not step.initial_done:
            return step
        # An idle cluster's watcher has caught up with its first state: say so at once.
        following = self._read(source, history)
        return step._replace(caught_up=True) if not following else step

    def _initial(self, source: Source[C]) -> Step:
        selection = self.selection
        self.revision = self.revision or source.durable_revision
        limit, after = self.limit, self.after
        if selection.single:
            # One object, read as a slice: that is the state at exactly this revision, which a point read is not.
            limit, after = 1, (selection.namespace, just_before(selection.name))
        items = source.scan(
            self.cluster, self.group_resource, selection.namespace, self.revision, after, limit, self.retention
        )
        try:
            events, size = self._shown(items)
        except NotConverted as reason:
            covered = [item.value for item in items if selection.covers(item.namespace, item.name)]
            raise selection.form.together(covered, reason) from None
        if limit == self.limit and len(items) == limit:
            self.after = (items[-1].namespace, items[-1].name)
            self._adapt(size)
            return Step(events)
        self.phase = Phase.REPLAY
        return Step(events, initial_done=self.revision)

    def _shown(self, items: Sequence[Item]) -> tuple[list[Occurrence], int]:
        """The first state's events, and how many bytes were looked at."""
        selection, events, size = self.selection, list[Occurrence](), 0
        for item in items:
            namespace, name, value = item.namespace, item.name, item.value
            size += len(value)
            if selection.covers(namespace, name) and (selection.plain or selection.selects(namespace, name, value)):
                json = selection.form.render(value)
                events.append(Occurrence(EventType.ADDED, self.revision, json, encode_position(namespace, name)))
        return events, size

    def _replay(self, source: Source[C], history: History) -> Step:
        commits = self._read(source, history)
        if not commits:
            self.revision = source.durable_revision
            return Step([], caught_up=True)
        try:
            events, size = self._changes(commits, source)
        except NotConverted as reason:
            covered = [change for commit in commits for change in commit.changes if self._covers(change)]
            raise self.selection.form.together([change.value for change in covered], reason) from None
        self.revision = commits[-1].revision
        self._adapt(size)
        return Step(events)

    def _covers(self, change: Change) -> bool:
        return change.group_resource == self.group_resource and self.selection.covers(change.namespace, change.name)

    def _changes(self, commits: Sequence[Commit], source: Source[C]) -> tuple[list[Occurrence], int]:
        """Their events, and how many bytes were looked at."""
        events, size = list[Occurrence](), 0
        for commit in commits:
            for change in commit.changes:
                size += len(change.value)
                if not self._covers(change):
                    continue
                change = self._whole(change, source)
                if outcome := self.selection.outcome(change):
                    shown = self.selection.show(change, outcome)
                    events.append(Occurrence(EVENT_TYPES[outcome], change.revision, shown))
        return events, size

    def _whole(self, change: Change, source: Source[C]) -> Change:
        """With the state before it as it was, if the form cannot be judged by a header."""
        form, previous = self.selection.form, change.previous
        if previous is None or self.selection.plain or not form.needs_previous or form.reader.has_body(previous):
            return change
        place = (self.group_resource, change.namespace, change.name)
        # Readable: this cursor is behind that revision, and its log has not been compacted.
        found = source.get_at(self.cluster, *place, change.revision - 1, self.retention)
        return change if found is None else change._replace(previous=found)

    def _read(self, source: Source[C], history: History) -> Sequence[Commit]:
        upto = source.durable_revision
        if self.revision >= upto:
            return ()
        if history.covers(self.cluster.id, self.revision):
            return history.since(self.cluster.id, self.revision, self.limit)
        return source.log(self.cluster, self.revision, upto, self.limit, self.group_resource, self.retention)

    def _adapt(self, size: int) -> None:
        if size > _LARGE_BYTES:
            self.limit = max(1, self.limit // 4)
        elif size < _SMALL_BYTES:
            self.limit = min(MAX_LIMIT, self.limit * 2)


def encode_position(namespace: str, name: str) -> str:
    """Neither name may contain a slash, whatever the resource type."""
    return f"{namespace}/{name}"


def decode_position(text: str) -> tuple[str, str]:
    namespace, _, name = text.partition("/")
    return namespace, name


def just_before(name: str) -> str:
    """A string after which `name` is the next legal one in byte order."""
    last = ord(name[-1]) - 1
    return name[:-1] + chr(0xD7FF if 0xD800 <= last < 0xE000 else max(last, 0)) + "\U0010ffff"

"""What the store promises to verbs, watch and placement. Signatures and prose; the code is beside it.

Words: a *group* is the writes that one sync makes durable. The *pending* state is the store with all accepted writes;
the *durable* state has only what a sync has covered. Verbs decide against the pending state, readers see the durable
one. Everything here runs on the shard's event loop and awaits nothing unless it says `async`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kcpshard.api.events import Change, Commit, EventType
from kcpshard.storage.owners import Dependent

if TYPE_CHECKING:
    from kcpshard.storage.wildcard_reads import Position, Sees, WildcardScan


class Group(Protocol):
    """Writes that become durable with one sync."""

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Call back on the loop, in order of registration, after the sync; at once if it has happened.

        Never called if the sync fails: the process ends then, because what the disk holds is unknown.
        """

    def when_refused(self, callback: Callable[["ReadOnly"], None]) -> None:
        """Call back if the disk would not take the group at all (full, read-only): then `when_durable` never comes.

        The writes are gone from the pending state; whether a restart finds them is unknown, so answer 503 or nothing.
        """


class NotDurable(Exception):
    """A read touched something written but not yet synced: read again when `group` is durable."""

    def __init__(self, group: Group) -> None:
        super().__init__("not durable yet")
        self.group = group


class ReadOnly(Exception):
    """The store takes no writes but deletions; `cause` says why in a sentence (full disk, read-only file system)."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Compacted(Exception):
    """The revision asked for is older than `oldest`, the oldest that this logical cluster can still show or resume."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"{revision} is older than {oldest}")
        self.revision, self.oldest = revision, oldest


class LogicalCluster:
    """One incarnation of a logical cluster on this shard. One instance per incarnation while anybody holds it.

    Instances are made on demand and kept in a bounded cache: an idle logical cluster costs nothing here.
    """

    __slots__ = (
        "__weakref__", "born_in", "cached", "created_revision", "deletions", "id", "known_since",
        "log_bytes", "objects", "oldest", "oldest_revision", "path", "prefix", "removed", "state", "stored_bytes",
    )  # fmt: skip

    path: str
    id: int  # 64 bits, never reused: the revision of its birth
    prefix: bytes  # the 8 bytes that begin each of its keys
    created_revision: int
    oldest_revision: int  # reads and watches below it are 410; grows with compaction; of retention class 0
    oldest: list[int]  # the same for each retention class: leases are forgotten sooner than config maps
    state: str  # "Active", "Sealed" (moving away), "Terminating" (takes nothing new), "Deleting"
    cached: dict[
        str, object
    ]  # what upper layers derive per logical cluster (catalog, policies); lost with the instance
    # The store's own:
    born_in: Group | None  # until its birth is durable
    log_bytes: int  # of its retained log records
    objects: int  # in the pending state
    stored_bytes: int  # of these
    known_since: int  # `deletions` is complete from this revision on
    deletions: dict[str, int]  # group resource → revision of the newest deletion
    removed: dict[bytes, int] | None  # objects of the template deleted here → revision; None: not read yet


class Put(NamedTuple):
    """Create or replace one object. `json` has resource_versions.PLACEHOLDER at `hole`; the writer fills it."""

    group_resource: str
    namespace: str
    name: str
    json: bytes
    hole: int
    annotations: int  # where wildcard reads splice kcp.io/cluster; see envelope.encode_object
    uid: str
    api_version: str
    labels: Mapping[str, str]
    fields: Mapping[str, str]  # selectable fields
    fingerprint: int = 0  # of the schema it was written under; 0: built in, current
    retention: int = 0  # class of its log record, an index into settings.retention


class Remove(NamedTuple):
    """Delete one object; it must exist in the pending state. `json`, `hole` as in Put: the last state for watchers."""

    group_resource: str
    namespace: str
    name: str
    json: bytes
    hole: int
    retention: int = 0


class PendingCommit(NamedTuple):
    """An accepted commit: revision assigned, visible to later decisions, durable with `group`."""

    revision: int
    values: Sequence[bytes]  # the envelopes, revision filled in, one per write in order
    group: Group


class RecordedWrite(NamedTuple):
    """The first result of a write that is repeated: HTTP code and envelope as logged."""

    code: int
    revision: int
    value: bytes


class PastChange(NamedTuple):
    """One change to one object: who, when, and the state it led to (of a deletion: the last one)."""

    type: EventType
    revision: int
    time_us: int
    author: str  # empty: not known
    value: bytes  # envelope


class ScanItem(NamedTuple):
    namespace: str
    name: str
    value: bytes  # envelope


class ObjectStore(Protocol):
    """Objects of all logical clusters of this shard, by key and revision; what the template holds is as if every one of
    them held it from its birth on (see `template`)."""

    @property
    def durable_revision(self) -> int:
        """Every commit at or below it is durable and announced."""

    @property
    def pending_revision(self) -> int:
        """The newest assigned revision."""

    def raise_clock(self, revision: int) -> Group | None:
        """Make every later commit's revision exceed `revision`. Raises ServiceUnavailable if that is more than
        500 ms beyond the wall clock and the operator has not accepted it. A group comes back if the promise has to be
        written down (the revision is in the future): it holds over a restart once that is durable."""

    def cut(self, revision: int) -> Group | None:
        """As raise_clock, and over a restart too: nothing is committed at or below `revision` from here on. A group is
        what to wait for until everything up to it is durable; then `durable_revision` is at least `revision`. None:
        it is so now."""

    def close_up_to_now(self) -> None:
        """`cut` at the present time, if nothing is pending: so that who merges several shards can go on."""

    # --- logical clusters

    def find_cluster(self, path: str) -> LogicalCluster | None:
        """The present incarnation, or None. One born but not durable yet raises NotDurable. Not an ownership check."""

    def pending_cluster(self, path: str) -> LogicalCluster | None:
        """As find_cluster, but of the pending state."""

    def create_cluster(self, path: str, puts: Sequence[Put]) -> tuple[LogicalCluster, PendingCommit]:
        """Birth in one batch: path index, record, first objects. The path must be free in the pending state."""

    def one_batch(self) -> AbstractContextManager[None]:
        """What is committed inside, in one loop turn, survives a crash together or not at all."""

    def clusters(self, after: str = "") -> Iterator[LogicalCluster]:
        """Live incarnations in path order."""

    def cluster_by_id(self, cluster_id: int) -> LogicalCluster | None:
        """The incarnation with that id, if it is alive and durable."""

    def path_of(self, cluster_id: int) -> str:
        """Of an incarnation that is alive, or has died a moment ago; "" for others, as for those that have left."""

    def set_cluster_state(self, cluster: LogicalCluster, state: str) -> Group:
        """Write down Active, Sealed or Deleting; in force at once, over a restart once durable."""

    def remove_cluster(self, cluster: LogicalCluster, removals: Sequence[Remove]) -> Group:
        """Its end, in one batch: its last objects go, its path is free. The caller has removed everything else, or
        wants no events of it. What the log keeps of it goes in the background, a few seconds later."""

    def fork_cluster(
        self, origin: LogicalCluster, path: str, puts: Sequence[Put]
    ) -> tuple[LogicalCluster, PendingCommit]:
        """A new incarnation that shows what the origin holds now, see `forks`; `puts` are written over it. In one
        batch, whatever the number of objects. Raises NotDurable while anything is pending, forks.ForkRefused."""

    def origin_of(self, cluster: LogicalCluster) -> int | None:
        """The id of the logical cluster that it shares objects with; None: it holds all that it shows."""

    def is_fork(self, cluster_id: int) -> bool:
        """Whether it shares objects with another one."""

    async def detach_forks(self, cluster: LogicalCluster) -> None:
        """Let the logical cluster, and each of its forks, hold all that it shows: before it leaves this store."""

    def on_removal(self, listener: Callable[[LogicalCluster], None]) -> None:
        """Call with a logical cluster that is no more, when that is durable and its last events are out."""

    async def clear(self, now_us: int) -> int:
        """Remove what is left of those that died a while ago; returns how many have gone."""

    # --- one object

    def get(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        """The durable envelope. Raises NotDurable if a newer one is pending."""

    def pending(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        """The newest accepted envelope, durable or not: what a precondition is checked against."""

    def commit(
        self,
        cluster: LogicalCluster,
        writes: Sequence[Put | Remove],
        request_id: bytes = b"",
        code: int = 0,
        author: str = "",
    ) -> PendingCommit:
        """All writes at one revision, atomically. The caller has checked everything in this same loop turn.
        `author` is the user's name, for `history`.

        Raises ReadOnly (never for a commit of Removes only, as long as the disk takes them).
        """

    def recorded(self, cluster: LogicalCluster, request_id: bytes, since_us: int) -> RecordedWrite | None:
        """What a write with this id did, looked for in the log from `since_us` (minus the allowed clock difference)."""

    # --- ranges

    def scan(
        self,
        cluster: LogicalCluster,
        group_resource: str,
        namespace: str,
        revision: int,
        after: tuple[str, str] | None,
        limit: int,
        retention: int = 0,
    ) -> list[ScanItem]:
        """At most `limit` objects in (namespace, name) order after `after`; namespace "" means all of them. Fewer than
        `limit` are the last. `retention` is the class of the resource type: it decides which revisions are too old.

        `revision` 0: the durable state of this moment; raises NotDurable if something in the range is pending.
        Otherwise the state at that revision; raises Compacted if that is below the cluster's oldest. Runs on the loop:
        callers ask for slices of at most settings.scan_slice. A list over several slices passes the durable revision
        of its first slice to the later ones: then they are one cut.
        """

    def scan_pending(self, cluster: LogicalCluster, group_resource: str, namespace: str, limit: int) -> list[bytes]:
        """The newest accepted envelopes of a type in a namespace, at most about `limit`: what admission decides by."""

    def get_at(
        self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str, revision: int, retention: int = 0
    ) -> bytes | None:
        """The envelope as of that durable revision. Raises Compacted as `scan` does."""

    def history(
        self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str, before: int, limit: int
    ) -> list[PastChange]:
        """What is retained of the changes to one name below the revision `before`, newest first, at most `limit`."""

    def scan_own(
        self, cluster: LogicalCluster, group_resource: str, after: tuple[str, str] | None, limit: int
    ) -> list[ScanItem]:
        """The newest accepted envelopes that the logical cluster itself holds, in key order after `after`; fewer than
        `limit` are the last."""

    def scan_everything(self, cluster: LogicalCluster, limit: int) -> list[tuple[str, ScanItem]]:
        """Of the pending state the first `limit` objects that it holds itself, of all types, with their group
        resources. Not of a fork, which shares what it shows."""

    def pending_own(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        """As `pending`, of what the logical cluster itself holds."""

    def is_removed(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bool:
        """Whether the logical cluster has removed that object of the template, so that it does not come back."""

    def shown_at_birth(self, cluster_id: int, group_resource: str) -> Sequence[Change]:
        """What a logical cluster shows of a type from its birth on without holding it, as additions."""

    def follow_writes(
        self,
        group_resources: frozenset[str],
        accepted: Callable[[LogicalCluster, str, str, str], None],
        undone: Callable[[LogicalCluster], None],
    ) -> None:
        """Call `accepted` with the place of each accepted write of these types, in its loop turn, and `undone` where
        the disk has refused accepted writes of a logical cluster. Once per store."""

    def count(self, cluster: LogicalCluster, group_resource: str) -> int:
        """Objects of that type. Constant time. Exact for the durable state unless something of the type is pending."""

    def count_in_namespace(self, cluster: LogicalCluster, group_resource: str, namespace: str) -> int:
        """As `count`, of one namespace; -1 if it is not known: something is pending there, or it holds more than
        settings.counted_objects. Counted once, then followed."""

    def scan_all(
        self, group_resource: str, namespace: str, revision: int, retention: int, after: "Position | None", sees: "Sees"
    ) -> "WildcardScan":
        """The objects of a type in all logical clusters that `sees` wants, at a revision that has been `cut`, in the
        order of (id, namespace, name) after `after`. Read slice by slice; each may raise Compacted."""

    def clusters_with(self, group_resource: str, after: int = 0) -> Iterator[int]:
        """Ids of logical clusters holding at least one such object, ascending (wildcard reads)."""

    def dependents(self, cluster: LogicalCluster, uid: str, after: Dependent | None, limit: int) -> list[Dependent]:
        """Objects whose pending state names `uid` in metadata.ownerReferences, in key order after `after`."""

    # --- the log

    def log(
        self,
        cluster: LogicalCluster,
        after: int,
        upto: int,
        limit: int,
        group_resource: str = "",
        retention: int = 0,
    ) -> list[Commit]:
        """Durable commits with after < revision ≤ upto, in order, at most about `limit` changes, commits whole.

        Only changes of the retention class, and of the group resource if one is named (a watch names both). retention
        -1: all classes. The last commit tells how far the log was read, and has no changes if nothing there was wanted;
        an empty list says that there is nothing more up to `upto`. (So a short list does not mean the end.)
        Raises Compacted if `after` is below the cluster's oldest revision of that class.
        """

    def log_all(self, after: int, upto: int, limit: int, group_resource: str = "", retention: int = 0) -> list[Commit]:
        """The same over all logical clusters of the shard (wildcard resume). Raises Compacted if any of them has lost a
        record of the class above `after`."""

    # --- meta (ownership, map, settings); key and value opaque, committed with a group like everything else

    def get_meta(self, key: bytes) -> bytes | None:
        """The newest accepted value."""

    def put_meta(self, items: Mapping[bytes, bytes | None]) -> Group: ...

    # --- life

    def on_commit(self, listener: Callable[[Sequence[Commit]], None]) -> None:
        """Call with the commits of each group, in revision order, once they are durable and before the group's own
        callbacks (so that a watch event is never later than the answer to its write). Listeners must not raise."""

    def on_compaction(self, listener: Callable[[LogicalCluster], None]) -> None:
        """Call when an oldest revision of a cluster has grown."""

    async def compact(self, now_us: int) -> int:
        """Drop log records past their retention in slices that hold the loop under 5 ms each; returns how many."""

    async def close(self) -> None:
        """Sync what is pending, then close the engine."""


class KeyValueBatch(Protocol):
    @property
    def size(self) -> int:
        """Bytes gathered, roughly."""

    def put(self, family: str, key: bytes, value: bytes) -> None: ...
    def delete(self, family: str, key: bytes) -> None: ...
    def delete_range(self, family: str, start: bytes, end: bytes) -> None: ...


class KeyValueEngine(Protocol):
    """Ordered bytes in named families, atomic batches, one writer. See DESIGN "Group commit" for why two steps."""

    @property
    def sync_waits(self) -> bool:
        """Whether `sync` may take a while, so that it belongs on a thread."""

    def get(self, family: str, key: bytes) -> bytes | None: ...
    def getter(self, family: str) -> Callable[[bytes], bytes | None]:
        """`get` of one family without the detour, for hot paths."""

    def scan(
        self, family: str, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Pairs with start ≤ key < end, at most `limit`, ascending unless `reverse`."""

    def count(self, family: str, start: bytes, end: bytes, limit: int) -> int:
        """How many keys with start ≤ key < end, at most `limit`; reads no values."""

    def batch(self) -> KeyValueBatch: ...
    def write(self, batch: Any) -> None:
        """A batch of this engine. Atomic, visible at once, not yet durable. Raises OSError (full, read-only disk)."""

    def sync(self) -> None:
        """Make everything written durable. Blocks without the GIL: call it on the sync thread."""

    def free_bytes(self) -> int | None:
        """Space left where the data lives; None where that means nothing; 0 if nothing may be written there at all."""

    def checkpoint(self, directory: str) -> None: ...
    def flush(self) -> None: ...
    def statistics(self) -> Mapping[str, int]: ...
    def close(self) -> None: ...

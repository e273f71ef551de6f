"""The single writer: gathers writes into groups, makes each durable with one sync, then tells about it.

    commit → gathering group ──turn ends──▶ engine.write ──▶ engine.sync on the sync thread ──▶ announced
                 ▲                                             │
                 └── the next group gathers meanwhile ◀────────┘

The overlay holds what is accepted and not yet durable. A group is one batch and one engine.write; one sync covers every
group written before it. A failed sync is never retried, because what the disk holds is then unknown: the process ends.
A write that the disk refuses outright leaves nothing behind, and the writer turns read-only.
"""

import asyncio
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any

from kcpshard import failpoints
from kcpshard.api.events import Commit
from kcpshard.storage import keyspace
from kcpshard.storage.contract import KeyValueBatch, KeyValueEngine, LogicalCluster, ReadOnly

_log = logging.getLogger(__name__)
EXIT_SYNC_FAILED = 74  # EX_IOERR
_LARGE = 4  # times the size at which a batch is written early
_ANNOUNCED_A_TURN = 48  # commits, or the last group's more: 40 µs each with watches and controllers
# RocksDB resumes by itself after a full disk, never after one of these; a new process has descriptors again.
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class WriteGroup:
    """Writes that become durable with one sync."""

    __slots__ = (
        "batch", "callbacks", "commits", "entries", "is_durable", "meta", "newest", "refusal", "refusals", "requests",
        "touched", "usages",
    )  # fmt: skip

    def __init__(self, batch: KeyValueBatch) -> None:
        self.batch = batch
        self.newest = 0  # revision
        self.commits: list[Commit] = []
        self.entries: dict[bytes, bytes | None] = {}  # object key → envelope, None: deleted
        self.meta: dict[bytes, bytes | None] = {}
        self.touched: set[bytes] = set()  # prefixes of types and namespaces with an entry
        self.requests: dict[bytes, int] = {}  # request id → logical cluster
        self.usages: dict[int, LogicalCluster] = {}  # whose usage record this group rewrites
        self.is_durable = False
        self.refusal: ReadOnly | None = None
        self.callbacks: list[Callable[[], None]] = []
        self.refusals: list[Callable[[ReadOnly], None]] = []

    def when_durable(self, callback: Callable[[], None]) -> None:
        if self.is_durable:
            callback()
        elif self.refusal is None:
            self.callbacks.append(callback)

    def when_refused(self, callback: Callable[[ReadOnly], None]) -> None:
        if self.refusal is not None:
            callback(self.refusal)
        elif not self.is_durable:
            self.refusals.append(callback)


Pending = tuple[bytes | None, WriteGroup]


def exit_after_failed_sync(error: BaseException) -> None:
    """End the process at once: nothing may be acknowledged on top of a disk in an unknown state."""
    _log.critical("the shard exits and recovers from its log, because the state of the disk is unknown: %s", error)
    logging.shutdown()
    os._exit(EXIT_SYNC_FAILED)


class SyncThread:
    """Runs engine.sync for one request at a time, without holding the loop or the GIL."""

    def __init__(self, sync: Callable[[], None], on_failure: Callable[[BaseException], None]) -> None:
        self._sync, self._on_failure = sync, on_failure
        self._wanted: SimpleQueue[tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        self._thread.start()

    def start(self, done: Callable[[], None]) -> None:
        """Sync, then call `done` on the loop."""
        self._wanted.put((asyncio.get_running_loop(), done))

    def close(self) -> None:
        self._wanted.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            loop, done = wanted
            try:
                if failpoints.armed:
                    failpoints.reach("writer.before_sync")
                self._sync()
                if failpoints.armed:
                    failpoints.reach("writer.after_sync")
            except BaseException as error:  # noqa: BLE001 - whatever it was, the disk's state is unknown
                self._on_failure(error)
                return
            if not loop.is_closed():
                loop.call_soon_threadsafe(done)


class LoopSync:
    """For engines whose sync is immediate: done in the next loop turn."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync

    def start(self, done: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(self._run, done)

    def close(self) -> None:
        """Nothing runs."""

    def _run(self, done: Callable[[], None]) -> None:
        self._sync()
        done()


class Writer:
    """Everything here is called on the loop. `overlay` and `meta` are for looking up, `touched` for ranges."""

    def __init__(
        self,
        engine: KeyValueEngine,
        batch_bytes: int,
        sync: Any,
        durable: int,
        before_write: Callable[[WriteGroup], None],
        after_refusal: Callable[[WriteGroup], None],
        on_hopeless: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        """`on_hopeless`: the engine has refused a write and will refuse all others until it is opened anew."""
        self._engine = engine
        self._batch_bytes = batch_bytes
        self._sync = sync
        self._before_write, self._after_refusal, self._on_hopeless = before_write, after_refusal, on_hopeless
        self.durable = durable
        self.overlay: dict[bytes, Pending] = {}
        self.meta: dict[bytes, Pending] = {}
        self.touched: dict[bytes, WriteGroup] = {}
        self.requests: dict[bytes, tuple[int, WriteGroup]] = {}
        self._get_meta = engine.getter(keyspace.META)
        self._gathering: WriteGroup | None = None
        self._written: list[WriteGroup] = []
        self._syncing: list[WriteGroup] = []
        self._turn_scheduled = False
        self._is_one_batch = False
        self._listeners: list[Callable[[Sequence[Commit]], None]] = []
        self.refused: ReadOnly | None = None  # the disk took nothing lately
        self._has_told_refusal = False  # one line in the log for a full disk, not one for each write
        self.groups = self.commits = 0  # statistics

    def on_commit(self, listener: Callable[[Sequence[Commit]], None]) -> None:
        self._listeners.append(listener)

    def gather(self) -> WriteGroup:
        """The group that a write joins now."""
        group = self._gathering
        if group is None:
            group = self._gathering = WriteGroup(self._engine.batch())
            if not self._turn_scheduled:
                self._turn_scheduled = True
                asyncio.get_running_loop().call_soon(self._end_turn)
        return group

    def newest_group(self) -> WriteGroup | None:
        """The last group that is not durable yet."""
        if self._gathering is not None:
            return self._gathering
        return self._written[-1] if self._written else self._syncing[-1] if self._syncing else None

    def entries_of(self, cluster_id: int, prefix: bytes) -> dict[bytes, bytes | None]:
        """What is accepted and not yet durable of one logical cluster."""
        found: dict[bytes, bytes | None] = {}
        for group in (*self._syncing, *self._written, self._gathering):
            if group is not None and cluster_id in group.usages:
                found.update((key, value) for key, value in group.entries.items() if key.startswith(prefix))
        return found

    def put_meta(self, group: WriteGroup, key: bytes, value: bytes | None) -> None:
        if value is None:
            group.batch.delete(keyspace.META, key)
        else:
            group.batch.put(keyspace.META, key, value)
        group.meta[key] = value
        self.meta[key] = (value, group)

    def get_meta(self, key: bytes) -> bytes | None:
        """The newest accepted value."""
        pending = self.meta.get(key)
        return self._get_meta(key) if pending is None else pending[0]

    def scan_meta(self, start: bytes, end: bytes, limit: int) -> list[bytes]:
        """The newest accepted keys in that range, ascending, at most `limit`."""
        pending = {key: value for key, (value, _) in self.meta.items() if start <= key < end}
        gone = sum(value is None for value in pending.values())
        found = {key for key, _ in self._engine.scan(keyspace.META, start, end, limit + gone)}
        found.update(key for key, value in pending.items() if value is not None)
        found.difference_update(key for key, value in pending.items() if value is None)
        return sorted(found)[:limit]

    def added(self, group: WriteGroup, commit: Commit) -> None:
        """A commit is complete in the gathering group; it is written early if the batch has grown large."""
        group.commits.append(commit)
        group.newest = commit.revision
        size = group.batch.size
        if size <= self._batch_bytes or self._is_one_batch:
            return
        if size > self._batch_bytes * _LARGE:
            # One large commit: gathering it has taken milliseconds of this turn, writing it takes as many of another.
            asyncio.get_running_loop().call_soon(self._write_grown, group)
        else:
            self.write_now()

    def _write_grown(self, group: WriteGroup) -> None:
        if self._gathering is group:
            self.write_now()

    @contextmanager
    def one_batch(self) -> Iterator[None]:
        """What is committed inside, without an await, is written together however large it grows."""
        self._is_one_batch = True
        try:
            yield
        finally:
            self._is_one_batch = False

    def write_now(self) -> None:
        """Hand the gathering group to the engine; it becomes durable with the next sync."""
        group, self._gathering = self._gathering, None
        if group is None:
            return
        self._before_write(group)
        try:
            if failpoints.armed:
                failpoints.reach("writer.before_write")
            self._engine.write(group.batch)
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                self._on_hopeless(error)
            self._refuse(group, ReadOnly(f"the disk does not take writes: {error.strerror or error}"))
            return
        if failpoints.armed:
            failpoints.reach("writer.after_write")
        self.refused = None
        self._has_told_refusal = False
        self._written.append(group)

    def abandon(self, group: WriteGroup) -> None:
        """Forget the gathering group, of which its one author had written a part when it failed."""
        assert group is self._gathering and not group.commits, "the group holds somebody else's commits"
        self._gathering = None
        self._rebuild()
        self._after_refusal(group)

    def reach(self, revision: int) -> None:
        """Everything up to `revision` is durable and announced, and nothing will be committed at or below it."""
        self.durable = max(self.durable, revision)

    async def drain(self) -> None:
        """Return when everything accepted so far is durable or refused."""
        group = self.newest_group()
        if group is not None:
            with suppress(ReadOnly):
                await self.settled(group)

    async def settled(self, group: WriteGroup) -> None:
        """Return when that group is durable; raises ReadOnly if the disk refuses it."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        group.when_durable(lambda: None if done.done() else done.set_result(None))
        group.when_refused(lambda cause: None if done.done() else done.set_exception(cause))
        await done

    def _end_turn(self) -> None:
        self._turn_scheduled = False
        if not self._syncing:
            self._start_sync()

    def _start_sync(self) -> None:
        self.write_now()
        if self._written:
            self._syncing, self._written = self._written, []
            self._sync.start(self._synced)

    def _synced(self) -> None:
        """The sync is done: drop the overlay, move the durable revision, announce, answer, go on with the next."""
        if failpoints.armed:
            failpoints.reach("writer.before_announce")
        self._announce()

    def _announce(self) -> None:
        """A few groups; what else has become durable in the next turns of the loop. All told at once, those that
        gathered behind a slow sync would hold it for long."""
        left = _ANNOUNCED_A_TURN
        while self._syncing and left > 0:
            group = self._syncing.pop(0)
            left -= len(group.commits)
            group.is_durable = True
            _drop(self.overlay, group.entries, group)
            _drop(self.meta, group.meta, group)
            for prefix in group.touched:
                if self.touched.get(prefix) is group:
                    del self.touched[prefix]
            for request_id in group.requests:
                self.requests.pop(request_id, None)
            self.groups += 1
            self.commits += len(group.commits)
            self.durable = max(self.durable, group.newest)
            if group.commits:
                for listener in self._listeners:
                    listener(group.commits)
            for callback in group.callbacks:
                callback()
            group.callbacks.clear()
            group.refusals.clear()
        if self._syncing:
            asyncio.get_running_loop().call_soon(self._announce)
        else:
            self._start_sync()

    def _refuse(self, group: WriteGroup, cause: ReadOnly) -> None:
        """Forget a group that the engine did not take: as if its writes had never been asked for."""
        if not self._has_told_refusal:
            _log.error("read-only until it changes: %s", cause)
            self._has_told_refusal = True
        self.refused = group.refusal = cause
        self._rebuild()
        self._after_refusal(group)
        for callback in group.refusals:
            callback(cause)
        group.callbacks.clear()
        group.refusals.clear()

    def _rebuild(self) -> None:
        """Make the overlay anew from the groups that remain: a refused entry may have hidden an earlier one."""
        self.overlay.clear()
        self.meta.clear()
        self.touched.clear()
        self.requests.clear()
        for group in (*self._syncing, *self._written):
            self.overlay.update((key, (value, group)) for key, value in group.entries.items())
            self.meta.update((key, (value, group)) for key, value in group.meta.items())
            self.touched.update((prefix, group) for prefix in group.touched)
            self.requests.update((key, (cluster_id, group)) for key, cluster_id in group.requests.items())


def _drop(overlay: dict[bytes, Pending], entries: Mapping[bytes, bytes | None], group: WriteGroup) -> None:
    for key in entries:
        # A later group may have written the same key again.
        if overlay[key][1] is group:
            del overlay[key]

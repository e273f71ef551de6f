"""Runs the controllers of a shard: changes in, keys worked on, some at a time, the loop never held.

What has been dealt with is remembered as a revision (in the store's meta, written every few seconds while there is
something new). After a restart the log is read from there, so that a start costs what happened since and not what
exists; only if the log no longer reaches back are all objects looked through. An idle logical cluster costs nothing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from kcpshard.api.errors import ApiError
from kcpshard.api.events import Change, Commit, EventType
from kcpshard.controllers.contract import Controller
from kcpshard.controllers.work_queue import Item, WorkQueue
from kcpshard.storage import envelope
from kcpshard.storage.contract import Compacted, LogicalCluster, NotDurable, ReadOnly
from kcpshard.tenancy.names import LOGICAL_CLUSTERS
from kcpshard.verbs.births import is_complete
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import Shard

_log = logging.getLogger(__name__)

SEEN = b"controllers/seen"
_STARTED = 12  # keys begun in a loop turn: at most about 200 µs each before their first await, 2.5 ms together
_ACTIVE = 64  # keys worked on at a time; most of them wait for the disk or for another shard
_SCANNED = 128
_WORKED_IN = ("Active", "Terminating")
_CROWDED = 5_000  # keys waiting, ~300 B each, above which looking through pauses
_REMEMBER_S = 5.0


class Runner:
    """`run` goes on until cancelled, and may be called again then. Made before the first commit that it shall see."""

    def __init__(self, shard: Shard, make: Sequence[Callable[["Runner"], Controller]]) -> None:
        self._shard, self._store = shard, shard.store
        self.queue = WorkQueue()
        self._wake = asyncio.Event()
        self.beside: list[Callable[[], Coroutine[Any, Any, None]]] = []  # what controllers do by the clock
        self._controllers: dict[str, Controller] = {}
        for made in (each(self) for each in make):
            self._controllers[made.name] = made
        self._seen = 0
        self._remembered = 0
        self._is_caught_up = False
        shard.store.on_commit(self._see)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._controllers)

    def add(self, controller: str, cluster_id: int, key: tuple[str, ...]) -> None:
        """For controllers that find more to do while they work."""
        self.queue.add(Item(controller, cluster_id, key), self._store.durable_revision)
        self._wake.set()

    def is_active(self, controller: str, cluster_id: int, key: tuple[str, ...]) -> bool:
        """Whether it is being worked on."""
        return self.queue.is_active(Item(controller, cluster_id, key))

    def is_idle(self) -> bool:
        """Everything announced so far is dealt with: for tests."""
        return self._is_caught_up and not self.queue.waiting and not self.queue.active

    async def run(self) -> None:
        self.queue.restart()
        self._wake.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._work(tasks))
                tasks.create_task(self._catch_up())
                tasks.create_task(self._remember())
                for each in self.beside:
                    tasks.create_task(each())
        finally:
            self.remember()

    # --- what happens

    def _see(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            if commit.born and is_complete(self._shard, len(commit.changes)):
                continue  # all is in it that any controller would put there
            if _is_end(commit):
                continue  # nothing is left there to do
            for change in commit.changes:
                self._show(commit.cluster_id, change)
        self._seen = commits[-1].revision

    def _show(self, cluster_id: int, change: Change) -> None:
        for name, controller in self._controllers.items():
            try:
                keys = controller.see(cluster_id, change)
            except Exception:  # noqa: BLE001 - one tenant's object must not end the writer's announcements
                _log.exception("%s cannot read a change of %s %s", name, change.group_resource, change.name)
                continue
            for key in keys:
                self.queue.add(Item(name, cluster_id, key), change.revision)
                self._wake.set()

    async def _catch_up(self) -> None:
        raw = self._store.get_meta(SEEN)
        upto = self._store.durable_revision
        try:
            if raw is None:
                await self._look_through()
            else:
                await self._replay(int.from_bytes(raw, "big"), upto)
        except Compacted:
            await self._look_through()
        self._is_caught_up = True
        self._seen = max(self._seen, upto)

    async def _replay(self, after: int, upto: int) -> None:
        """Leases and events have their own retention classes, and matter to no controller that depends on this."""
        while commits := self._store.log_all(after, upto, _SCANNED):
            for commit in commits:
                for change in commit.changes:
                    self._show(commit.cluster_id, change)
            after = commits[-1].revision
            await self._breathe()

    async def _look_through(self) -> None:
        for cluster in self._store.clusters():
            await self.look_through(cluster)

    async def look_through(self, cluster: LogicalCluster) -> None:
        """Every object of a logical cluster, as after an adoption."""
        async for change in self._objects(cluster):
            self._show(cluster.id, change)

    async def _objects(self, cluster: LogicalCluster) -> AsyncIterator[Change]:
        store = self._store
        for group_resource, retention in self._stored_types(cluster).items():
            after: tuple[str, str] | None = None
            while store.count(cluster, group_resource):
                items = store.scan(cluster, group_resource, "", store.durable_revision, after, _SCANNED, retention)
                for item in items:
                    revision = envelope.revision(item.value)
                    yield Change(EventType.ADDED, revision, group_resource, item.namespace, item.name, item.value, None)
                await self._breathe()
                if len(items) < _SCANNED:
                    break
                after = (items[-1].namespace, items[-1].name)

    def _stored_types(self, cluster: LogicalCluster) -> dict[str, int]:
        found = self._shard.catalog.resources(cluster)
        return {r.group_resource: r.retention for r in found if not r.virtual}

    async def _breathe(self) -> None:
        await asyncio.sleep(0)
        while self.queue.waiting > _CROWDED:  # noqa: ASYNC110 - rare, and nobody waits for it
            await asyncio.sleep(0.01)

    async def _remember(self) -> None:
        while True:
            await asyncio.sleep(_REMEMBER_S)
            self.remember()

    def remember(self) -> None:
        """Write down how far everything is settled."""
        if not self._is_caught_up:
            return
        oldest = self.queue.oldest()
        settled = self._seen if oldest is None else min(self._seen, oldest - 1)
        if settled > self._remembered:
            self._remembered = settled
            self._store.put_meta({SEEN: settled.to_bytes(8, "big")})

    # --- what is done

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        loop, queue = asyncio.get_running_loop(), self.queue
        while True:
            queue.wake(loop.time())
            started = 0
            while started < _STARTED and queue.active < _ACTIVE and (item := queue.take()) is not None:
                tasks.create_task(self._handle(item))
                started += 1
            if queue.waiting and queue.active < _ACTIVE:
                await asyncio.sleep(0)
                continue
            await self._until_woken(queue.next_due() if queue.active < _ACTIVE else None)

    async def _until_woken(self, due: float | None) -> None:
        if due is None:
            await self._wake.wait()
        else:
            timer = asyncio.get_running_loop().call_at(due, self._wake.set)
            await self._wake.wait()
            timer.cancel()
        self._wake.clear()

    async def _handle(self, item: Item) -> None:
        now = asyncio.get_running_loop().time
        try:
            again_s = await self._reconcile(item)
        except NotOwned:
            self.queue.done(item)  # it has moved: its new shard looks through it
        except (ApiError, ReadOnly, NotDurable) as refusal:
            wait = self.queue.failed(item, now())
            _log.debug("%s: %s of %s again in %.2f s: %s", *item, wait, refusal)
        except Exception:  # noqa: BLE001 - a bug met in one tenant's object must not end the work for everybody else's
            _log.exception("%s: logical cluster %s, %s", *item)
            self.queue.failed(item, now())
        else:
            if again_s:
                self.queue.later(item, now() + again_s)
            else:
                self.queue.done(item)
        self._wake.set()

    async def _reconcile(self, item: Item) -> float:
        cluster = self._store.cluster_by_id(item.cluster_id)
        if cluster is None or cluster.state not in _WORKED_IN:
            return 0
        return await self._controllers[item.controller].reconcile(cluster, item.key)


def _is_end(commit: Commit) -> bool:
    """Whether a logical cluster has gone with it."""
    last = EventType.DELETED
    return any(c.type is last and c.group_resource == LOGICAL_CLUSTERS for c in commit.changes)

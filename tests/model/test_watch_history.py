"""Watches against the whole history: whatever breaks, pauses and crashes in between, each reader gets exactly the
events that the commits make for its selection: in order, none lost, none twice, and never a bookmark ahead.

The model keeps every durable commit; what a reader should see is computed from it in a few lines that share no code
with cursors, buckets and ledgers.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import orjson
import pytest

from kcpshard.api.events import Commit
from kcpshard.local_watch import LocalWatchTransport
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import watch_client
from kcpshard.rpc.watch_client import WatchClient, WatchStream
from kcpshard.settings import Settings
from kcpshard.storage import envelope
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.watch import cursor
from kcpshard.watch_service import WatchService
from tests.contracts.stored_objects import put, remove
from tests.contracts.watch_tier import Reader, WatchTier, start

SETTINGS = Settings(
    retention_s=(100, 30, 5), closed_revision_interval_s=0.001, watch_history_bytes=4_000, watch_queue_bytes=20_000
)
PATHS, TYPES, NAMESPACES, NAMES = ("root", "late", "later"), ("configmaps", "events"), ("one", "two"), ("a", "b", "c")
LABELS: tuple[dict[str, str], ...] = ({}, {"app": "x"}, {"app": "y"})
SELECTORS: dict[str, Callable[[Mapping[str, str]], bool]] = {
    "": lambda _: True,
    "app=x": lambda labels: labels.get("app") == "x",
    "!app": lambda labels: "app" not in labels,
}


class Seen(NamedTuple):
    type: str
    revision: int
    name: str
    data: str


class CrashingEngine(MemoryEngine):
    def __init__(self) -> None:
        super().__init__()
        self.sync()

    def sync(self) -> None:
        self._synced = {name: table.copy() for name, table in self._tables.items()}

    def crashed(self) -> "CrashingEngine":
        """What is left: another engine, since the old process's sync may still be on its way."""
        left = CrashingEngine()
        for name, table in left._tables.items():
            table.update(self._synced[name])
        left.sync()
        return left


class History:
    """Every durable commit. `shown` is what a watcher of a selection should be given."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.paths: dict[int, str] = {}

    def add(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            self.commits.append(commit)
            if commit.born:
                self.paths[commit.cluster_id] = commit.born

    def shown(self, request: pb.StartWatch, initial: int | None) -> list[Seen]:
        """`initial`: the revision of the first state; None: changes after request.revision only."""
        since = request.revision if initial is None else initial
        wanted = SELECTORS[request.label_selector]
        state: dict[tuple[str, str], tuple[dict[str, str], str]] = {}
        events: list[Seen] = []
        first: list[Seen] | None = None
        for commit in self.commits:
            if self.paths[commit.cluster_id] != request.cluster:
                continue
            if first is None and commit.revision > since:
                first = [Seen("ADDED", since, name, data) for (_, name), (_, data) in sorted(state.items())]
            for change in commit.changes:
                if change.group_resource != request.resource:
                    continue
                if (request.namespace or change.namespace) != change.namespace:
                    continue
                if (request.name or change.name) != change.name:
                    continue
                key = (change.namespace, change.name)
                before = state.pop(key, None)
                after = (dict(envelope.labels(change.value)), _data(envelope.body(change.value)))
                if change.type != pb.DELETED and wanted(after[0]):
                    state[key] = after
                if commit.revision <= since:
                    continue
                if key in state:
                    kind = "MODIFIED" if before else "ADDED"
                    events.append(Seen(kind, commit.revision, change.name, after[1]))
                elif before:
                    data = after[1] if change.type == pb.DELETED else before[1]
                    events.append(Seen("DELETED", commit.revision, change.name, data))
        if first is None:
            first = [Seen("ADDED", since, name, data) for (_, name), (_, data) in sorted(state.items())]
        return (first if initial is not None else []) + events


def _data(json: bytes) -> str:
    value: str = orjson.loads(json)["data"]["value"]
    return value


@dataclass
class Observed:
    """One watch: what it asked for, what it was told, and the bookmarks it might have sent."""

    request: pb.StartWatch
    reader: Reader
    is_paused: bool = False
    is_closed: bool = False
    bookmarks: list[tuple[int, int]] = field(default_factory=list)  # revision, events given before

    @property
    def initial(self) -> int | None:
        for entry in self.reader.log:
            if entry.startswith("initial "):
                return int(entry.split()[1])
        events = self.reader.events
        return events[0].revision if self.request.initial and events else None

    def seen(self) -> list[Seen]:
        return [
            Seen(pb.EventType.Name(e.type), e.revision, orjson.loads(e.object)["metadata"]["name"], _data(e.object))
            for e in self.reader.events
        ]

    def note_bookmark(self) -> None:
        handle = self.reader.handle
        if handle is not None and handle.revision and not self.is_closed:
            self.bookmarks.append((handle.revision, len(self.reader.events)))


class JitteryTransport(LocalWatchTransport):
    """The streams do not keep step: messages of either take their time."""

    def __init__(self, service: WatchService, random: Random) -> None:
        super().__init__(service)
        self._random = random

    def watch(self) -> AbstractAsyncContextManager[WatchStream]:
        return self._slowed(super().watch())

    def catch_up(self) -> AbstractAsyncContextManager[WatchStream]:
        return self._slowed(super().catch_up())

    @asynccontextmanager
    async def _slowed(self, opening: AbstractAsyncContextManager[WatchStream]) -> AsyncIterator[WatchStream]:
        async with opening as stream:
            yield SlowStream(stream, self._random)


class SlowStream:
    def __init__(self, stream: WatchStream, random: Random) -> None:
        self._stream, self._random = stream, random

    async def read(self) -> pb.WatchBatch:
        batch = await self._stream.read()
        for _ in range(self._random.choice((0, 0, 0, 1, 2, 8))):
            await asyncio.sleep(0)
        return batch

    async def write(self, batch: pb.WatchControlBatch) -> None:
        await self._stream.write(batch)


class World:
    def __init__(self, seed: int) -> None:
        self.engine = CrashingEngine()
        self.tier = WatchTier(SETTINGS, self.engine)
        self.history = History()
        self._record()
        self.transport = JitteryTransport(self.tier.service, Random(seed))
        self.client = WatchClient(self.transport, "front-1")
        self.watches: list[Observed] = []
        self.compacted = False
        self.number = 0

    def _record(self) -> None:
        store = self.tier.store
        # A process that was killed announces nothing any more.
        store.on_commit(lambda commits: self.history.add(commits) if store is self.tier.store else None)

    # --- steps

    def write(self, path: str, type_: str, namespace: str, name: str, labels: int, delete: bool, twice: bool) -> None:
        self.number += 1
        cluster = self.tier.store.pending_cluster(path)
        changed = put(name, namespace, type_, str(self.number), LABELS[labels])
        if cluster is None:
            self.tier.bear(path, changed)
            return
        if delete:
            if self.tier.store.pending(cluster, type_, namespace, name) is not None:
                self.tier.commit(path, remove(name, namespace, type_))
            return
        other = put("pair", namespace, type_, str(self.number), LABELS[labels])
        self.tier.commit(path, *((changed, other) if twice else (changed,)))

    async def open(
        self, path: str, type_: str, namespace: str, name: str, selector: str, initial: bool, back: int
    ) -> None:
        request = start(path, type_, namespace=namespace, name=name, label_selector=selector, initial=initial)
        known = [c.revision for c in self.history.commits if self.history.paths[c.cluster_id] == path]
        is_being_born = not known and self.tier.store.pending_cluster(path) is not None
        if not initial:
            # What a client could have read here: of this incarnation, or now if it is not born.
            request.revision = known[-1 - back % len(known)] if known else self.tier.store.durable_revision
            if not request.revision or is_being_born:
                return
        reader = Reader()
        reader.handle = self.client.watch(request, reader)
        self.watches.append(Observed(request, reader))
        if not known and not is_being_born:
            # A birth that comes before the watch does would make its revision one of before the birth: 410, rightly.
            async with asyncio.timeout(60):
                while "started" not in reader.log:
                    await asyncio.sleep(0)

    def pause(self, at: int) -> None:
        if self.watches:
            watch = self.watches[at % len(self.watches)]
            handle = watch.reader.handle
            assert handle is not None
            (handle.resume if watch.is_paused else handle.pause)()
            watch.is_paused = not watch.is_paused

    def close(self, at: int) -> None:
        if self.watches:
            watch = self.watches[at % len(self.watches)]
            assert watch.reader.handle is not None
            watch.reader.handle.close()
            watch.is_closed = True

    def cut(self) -> None:
        self.transport.cut()

    def crash(self) -> None:
        self.transport.cut()
        self.tier.engine = self.engine = self.engine.crashed()
        self.tier.restart()
        self._record()
        self.transport._service = self.tier.service

    async def compact(self, seconds: int) -> None:
        self.compacted = True
        # Otherwise its sync may cover a commit that is announced later; a crash in between is for the store's model.
        await self.tier.settled()
        self.tier.now_us += seconds * 1_000_000
        await self.tier.store.compact(self.tier.now_us)

    async def turn(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)
        for watch in self.watches:
            watch.note_bookmark()

    # --- the end

    async def settle(self) -> None:
        await self.tier.settled()
        for watch in self.watches:
            handle = watch.reader.handle
            assert handle is not None
            if watch.is_paused:
                handle.resume()
            if not watch.is_closed:
                async with asyncio.timeout(60):
                    while handle.revision < self.tier.store.durable_revision and not watch.reader.status:
                        await asyncio.sleep(0.001)
            watch.note_bookmark()

    def judge(self) -> None:
        for watch in self.watches:
            seen, shown = watch.seen(), self.history.shown(watch.request, watch.initial)
            if watch.reader.status:
                assert self.compacted, f"ended although nothing was compacted: {watch.reader.status}"
                assert watch.reader.status["code"] == 410
            if watch.is_closed or watch.reader.status:
                shown = shown[: len(seen)]
            assert seen == shown, watch.reader.log
            assert watch.reader.log.count("started") <= 1
            for revision, count in watch.bookmarks:
                late = [e for e in watch.reader.events[count:] if e.revision <= revision]
                assert not late, f"a bookmark at {revision} came before {late[0].revision}"


def made_up(seed: int, compacting: bool) -> list[tuple[Any, ...]]:
    """Mostly writes; half of what happens is in one logical cluster, so that readers have something to read."""
    random = Random(seed)
    pick = random.choice

    def place() -> tuple[str, str]:
        return pick(("root",) * 5 + PATHS), pick((*TYPES, "configmaps", "configmaps"))

    def step() -> tuple[Any, ...]:
        match pick(
            ("write",) * 12 + ("turn",) * 5 + ("open",) * 3 + ("pause", "pause", "cut", "crash", "close", "compact")
        ):
            case "write":
                labels, delete, twice = random.randrange(3), random.random() < 0.25, random.random() < 0.25
                return "write", *place(), pick(NAMESPACES), pick(NAMES), labels, delete, twice
            case "open":
                where = (*place(), pick(("", "", *NAMESPACES)), pick(("", "", "a")), pick(sorted(SELECTORS)))
                return "open", *where, random.random() < 0.5, random.randrange(10)
            case "compact" if compacting:
                return "compact", pick((1, 50, 200))
            case "cut" | "crash" as name:
                return (name,)
            case "pause" | "close" as name:
                return name, random.randrange(10)
        return "turn", random.randrange(1, 12)

    return [step() for _ in range(random.randrange(20, 120))]


async def run(seed: int, steps: list[tuple[Any, ...]]) -> None:
    world = World(seed)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(world.client.run())
        try:
            for name, *arguments in steps:
                done = getattr(world, name)(*arguments)
                if done is not None:
                    await done
            await world.settle()
            world.judge()
        finally:
            task.cancel()
            world.transport.cut()


@pytest.fixture(autouse=True)
def _quick_and_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursor, "FIRST_LIMIT", 2)
    monkeypatch.setattr(cursor, "MAX_LIMIT", 3)
    monkeypatch.setattr(watch_client, "FIRST_RETRY_S", 0.0)
    monkeypatch.setattr(watch_client, "LATER_S", 0.001)


@pytest.mark.parametrize("compacting", [False, True], ids=["all retained", "compacting"])
@pytest.mark.parametrize("first", range(0, 240, 40))
def test_every_reader_sees_exactly_its_events(first: int, compacting: bool) -> None:
    for seed in range(first, first + 40):
        try:
            asyncio.run(run(seed, made_up(seed, compacting)))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise

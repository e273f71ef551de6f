"""The store against its whole history in a dictionary: every retained revision reads and replays as it was.

A machine writes, syncs, compacts, restarts and crashes in any order; the model keeps every commit ever made.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from kcpshard.api.events import Commit, EventType
from kcpshard.settings import Settings
from kcpshard.storage import envelope
from kcpshard.storage.contract import Compacted, KeyValueEngine, LogicalCluster, NotDurable, PendingCommit
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.storage.verification import violations
from tests.contracts.stored_objects import CLASSES, HeldSync, put, remove

START_US = 1_800_000_000_000_000
RETENTION_S = (100, 30, 5)
PATHS = ("root", "root:a")


class Step(NamedTuple):
    """One change as the model remembers it."""

    revision: int
    path: str
    key: tuple[str, str, str]
    value: bytes | None  # None: deleted
    previous: bytes | None


class CrashingEngine(MemoryEngine):
    """Loses at a crash what no sync has covered."""

    def __init__(self) -> None:
        super().__init__()
        self.sync()

    def sync(self) -> None:
        self._synced = {name: table.copy() for name, table in self._tables.items()}

    def crash(self) -> None:
        for name, table in self._tables.items():
            table.clear()
            table.update(self._synced[name])


class StoreMachine(RuleBasedStateMachine):
    retained_bytes = 1 << 30

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now_us = START_US
        self.engine = self.make_engine()
        self.steps: list[Step] = []  # durable, as announced
        self.accepted: dict[int, list[Step]] = {}  # not durable yet, by revision
        self.pending: dict[tuple[str, tuple[str, str, str]], bytes | None] = {}
        self.births: dict[str, int] = {}
        self.open_store()
        self.bear(PATHS[0])
        self.sync_all()

    def make_engine(self) -> KeyValueEngine:
        return CrashingEngine()

    def reopen_engine(self) -> None:
        """After the store has closed it."""

    def open_store(self) -> None:
        self.sync = HeldSync(self.engine.sync)
        config = Settings(
            retention_s=RETENTION_S,
            retained_bytes_per_cluster=self.retained_bytes,
            cached_clusters=2,
            accept_clock=True,
        )
        self.store = Store(self.engine, 1, lambda: self.now_us, config, self.sync)
        self.store.on_commit(self.see)

    def turn(self) -> None:
        """One turn of the event loop, so that what is gathered is written."""
        self.loop.run_until_complete(asyncio.sleep(0))

    def see(self, commits: Any) -> None:
        """Announced commits are those accepted, in order, with full previous envelopes."""
        for commit in commits:
            expected = self.accepted.pop(commit.revision)
            assert not any(revision < commit.revision for revision in self.accepted), "announced out of order"
            for change, step in zip(commit.changes, expected, strict=True):
                assert (change.group_resource, change.namespace, change.name) == step.key
                assert change.previous == step.previous
                assert change.value == (step.value or change.value)
            self.steps += expected

    def accept(self, path: str, pending: PendingCommit, writes: list[Any]) -> None:
        steps = []
        for write, value in zip(writes, pending.values, strict=True):
            key = write[:3]
            previous = self.pending.get((path, key))
            is_removal = type(write).__name__ == "Remove"
            assert envelope.faults(value) == [] and envelope.revision(value) == pending.revision
            steps.append(Step(pending.revision, path, key, None if is_removal else value, previous))
            self.pending[path, key] = steps[-1].value
        self.accepted[pending.revision] = steps

    def in_loop(self, call: Any) -> Any:
        async def run() -> Any:
            return call()

        return self.loop.run_until_complete(run())

    # --- what happens

    @rule(path=st.sampled_from(PATHS))
    def bear(self, path: str) -> None:
        if self.store.pending_cluster(path) is None:
            writes = [put("first")]
            cluster, pending = self.in_loop(lambda: self.store.create_cluster(path, writes))
            self.births[path] = cluster.id
            self.accept(path, pending, writes)

    @rule(
        path=st.sampled_from(PATHS),
        choices=st.lists(
            st.tuples(
                st.sampled_from(sorted(CLASSES)), st.sampled_from("xy"), st.sampled_from("ab"),
                st.sampled_from(("put", "put", "label", "remove")), st.integers(0, 99),
            ),
            min_size=1, max_size=3, unique_by=lambda choice: choice[:3],
        ),
    )  # fmt: skip
    def write(self, path: str, choices: list[tuple[str, str, str, str, int]]) -> None:
        cluster = self.store.pending_cluster(path)
        if cluster is None:
            return
        writes: list[Any] = []
        for group_resource, namespace, name, action, data in choices:
            key = (group_resource, namespace, name)
            if action == "remove":
                if self.pending.get((path, key)) is not None:
                    writes.append(remove(name, namespace, group_resource))
            else:
                labels = {"step": str(data)} if action == "label" else {"app": "same"}
                writes.append(put(name, namespace, group_resource, str(data), labels))
        if writes:
            self.now_us += 1
            self.accept(path, self.in_loop(lambda: self.store.commit(cluster, writes)), writes)

    @rule(name=st.sampled_from("ab"), group_resource=st.sampled_from(sorted(CLASSES)), is_removal=st.booleans())
    def write_one(self, name: str, group_resource: str, is_removal: bool) -> None:
        action = "remove" if is_removal else "put"
        self.write(PATHS[0], [(group_resource, "x", name, action, 0)])

    @rule(names=st.lists(st.sampled_from("ab"), min_size=2, max_size=5))
    def write_again_and_again(self, names: list[str]) -> None:
        for data, name in enumerate(names):
            self.write(PATHS[0], [("configmaps", "x", name, "put", data)])

    @rule()
    def sync_one(self) -> None:
        self.turn()
        if self.sync.is_waiting:
            self.in_loop(self.sync.release)

    @rule()
    def sync_all(self) -> None:
        self.turn()
        while self.sync.is_waiting:
            self.in_loop(self.sync.release)
            self.turn()
        assert not self.accepted

    @rule(seconds=st.sampled_from((1, 4, 20, 60)))
    def wait(self, seconds: int) -> None:
        self.now_us += seconds * 1_000_000

    @rule(microseconds=st.integers(1, 400_000))
    def step_clock_back(self, microseconds: int) -> None:
        self.now_us -= microseconds

    @rule()
    def compact(self) -> None:
        before = {path: self.oldest(path) for path in PATHS}
        self.in_loop_async(self.store.compact(self.now_us))
        for path in PATHS:
            self.check_oldest(path, before[path])
        self.check_the_past(2)

    @rule(seconds=st.sampled_from((4, 6, 31, 101)))
    def sync_wait_and_compact(self, seconds: int) -> None:
        self.sync_all()
        self.wait(seconds)
        self.compact()

    @rule(
        name=st.sampled_from("ab"), group_resource=st.sampled_from(sorted(CLASSES)), seconds=st.sampled_from((6, 101))
    )
    def compact_beside_writes(self, name: str, group_resource: str, seconds: int) -> None:
        """A sync is running, a group gathers behind it, and records of both objects come of age."""
        self.sync_all()
        self.write_one("a", group_resource, False)
        self.turn()
        self.wait(seconds)
        self.write_one(name, group_resource, False)
        self.compact()

    def in_loop_async(self, coroutine: Any) -> None:
        self.loop.run_until_complete(coroutine)

    def check_oldest(self, path: str, before: list[int]) -> None:
        """Exactly what is past its retention is forgotten, no more and no less."""
        for retention, oldest in enumerate(self.oldest(path)):
            cutoff = (self.now_us - RETENTION_S[retention] * 1_000_000) * 1000
            due = [s.revision for s in self.steps if s.path == path and CLASSES[s.key[0]] == retention]
            newest_due = max((r for r in due if r <= cutoff), default=0)
            assert oldest == max(before[retention], newest_due)

    def oldest(self, path: str) -> list[int]:
        cluster = self.store.pending_cluster(path)
        return list(cluster.oldest) if cluster else [0] * len(RETENTION_S)

    @precondition(lambda self: not self.accepted)
    @rule()
    def restart(self) -> None:
        self.sync_all()
        durable, oldest = self.store.durable_revision, {path: self.oldest(path) for path in PATHS}
        self.loop.run_until_complete(self.store.close())
        self.reopen_engine()
        self.open_store()
        assert self.store.durable_revision >= durable
        assert {path: self.oldest(path) for path in PATHS} == oldest

    @rule()
    def crash(self) -> None:
        if not isinstance(self.engine, CrashingEngine):
            return
        self.turn()
        self.engine.crash()
        # A sync may cover more than what had been written when it began: such commits were never announced, and live.
        order = self.engine.scan("order", b"", b"\xff" * 9, 1, reverse=True)
        newest = int.from_bytes(order[0][0], "big") if order else 0
        for revision in sorted(self.accepted):
            if revision <= newest:
                self.steps += self.accepted[revision]
        self.accepted.clear()
        self.pending = {(s.path, s.key): s.value for s in self.steps}
        self.births = {path: birth for path, birth in self.births.items() if any(s.path == path for s in self.steps)}
        self.open_store()
        self.loop.run_until_complete(asyncio.sleep(0))

    # --- what must hold

    def state(self, path: str, revision: int) -> dict[tuple[str, str, str], bytes]:
        found: dict[tuple[str, str, str], bytes | None] = {}
        for step in self.steps:
            if step.path == path and step.revision <= revision:
                found[step.key] = step.value
        return {key: value for key, value in sorted(found.items()) if value is not None}

    def durable_clusters(self) -> Iterator[LogicalCluster]:
        for path in PATHS:
            try:
                cluster = self.store.find_cluster(path)
            except NotDurable:
                assert any(s.path == path for steps in self.accepted.values() for s in steps)
                continue
            if cluster is not None:
                assert cluster.id == self.births[path]
                yield cluster

    def check_the_past(self, limit: int) -> None:
        """Every revision that matters, at its edges, in every cluster and class."""
        for cluster in self.durable_clusters():
            mine = {s.revision for s in self.steps if s.path == cluster.path} | set(cluster.oldest)
            for revision in sorted({r + edge for r in mine for edge in (-1, 0)} | {self.store.durable_revision}):
                self.check_state(cluster, revision, limit)

    def check_state(self, cluster: LogicalCluster, revision: int, limit: int) -> None:
        expected = self.state(cluster.path, revision)
        for group_resource, retention in CLASSES.items():
            if revision < cluster.oldest[retention]:
                with pytest.raises(Compacted):
                    self.store.scan(cluster, group_resource, "", revision, None, limit, retention)
                continue
            assert self.pages(cluster, group_resource, "", revision, limit) == {
                key: value for key, value in expected.items() if key[0] == group_resource
            }
            assert self.pages(cluster, group_resource, "x", revision, limit) == {
                key: value for key, value in expected.items() if key[:2] == (group_resource, "x")
            }
            for name in ("a", "b"):
                key = (group_resource, "y", name)
                assert self.store.get_at(cluster, *key, revision, retention) == expected.get(key)

    @rule(limit=st.integers(1, 4))
    def read_the_past(self, limit: int) -> None:
        self.check_the_past(limit)

    def pages(
        self, cluster: LogicalCluster, group_resource: str, namespace: str, revision: int, limit: int
    ) -> dict[tuple[str, str, str], bytes]:
        found: dict[tuple[str, str, str], bytes] = {}
        after = None
        while True:
            page = self.store.scan(cluster, group_resource, namespace, revision, after, limit, CLASSES[group_resource])
            assert len(page) <= limit
            found |= {(group_resource, item.namespace, item.name): item.value for item in page}
            if len(page) < limit:
                assert list(found) == sorted(found)
                return found
            after = (page[-1].namespace, page[-1].name)

    @rule(limit=st.integers(1, 5))
    def replay(self, limit: int) -> None:
        for cluster in self.durable_clusters():
            mine = [s for s in self.steps if s.path == cluster.path]
            for group_resource, retention in CLASSES.items():
                for after in {cluster.oldest[retention], *(s.revision for s in mine)}:
                    if after < cluster.oldest[retention]:
                        with pytest.raises(Compacted):
                            self.store.log(cluster, after, 1 << 62, limit, group_resource, retention)
                        continue
                    expected = [s for s in mine if s.revision > after and s.key[0] == group_resource]
                    self.check_replay(self.read_log(cluster, after, limit, group_resource, retention), expected)

    def read_log(
        self, cluster: LogicalCluster | None, after: int, limit: int, group_resource: str, retention: int
    ) -> list[Commit]:
        found: list[Commit] = []
        while True:
            if cluster is None:
                commits = self.store.log_all(after, 1 << 62, limit, group_resource, retention)
            else:
                commits = self.store.log(cluster, after, 1 << 62, limit, group_resource, retention)
            if not commits:
                return found
            assert all(a.revision < b.revision for a, b in pairwise(commits))
            assert commits[0].revision > after
            after = commits[-1].revision
            found += [commit for commit in commits if commit.changes]

    def check_replay(self, commits: list[Commit], expected: list[Step]) -> None:
        changes = [change for commit in commits for change in commit.changes]
        assert [(c.revision, c.group_resource, c.namespace, c.name) for c in changes] == [
            (s.revision, *s.key) for s in expected
        ]
        for change, step in zip(changes, expected, strict=True):
            assert (change.type is EventType.DELETED) == (step.value is None)
            assert (change.type is EventType.ADDED) == (step.previous is None)
            assert step.value is None or change.value == step.value
            if step.previous is None:
                assert change.previous is None
            else:
                assert change.previous is not None
                assert envelope.revision(change.previous) == envelope.revision(step.previous)
                assert envelope.labels(change.previous) == envelope.labels(step.previous)
                if envelope.has_body(change.previous) or envelope.labels(change.value) != envelope.labels(
                    step.previous
                ):
                    assert change.previous == step.previous

    @rule(data=st.data(), limit=st.integers(1, 5))
    def replay_everything(self, data: st.DataObject, limit: int) -> None:
        after = data.draw(st.sampled_from([0, *(s.revision for s in self.steps)]))
        for group_resource, retention in CLASSES.items():
            try:
                commits = self.read_log(None, after, limit, group_resource, retention)
            except Compacted as error:
                assert after < error.oldest
                assert any(self.oldest(path)[retention] > after for path in PATHS)
                continue
            expected = [s for s in self.steps if s.revision > after and s.key[0] == group_resource]
            self.check_replay(commits, expected)

    @invariant()
    def present_is_right(self) -> None:
        for cluster in self.durable_clusters():
            waiting = {s.key for steps in self.accepted.values() for s in steps if s.path == cluster.path}
            expected = self.state(cluster.path, 1 << 62)
            for group_resource in CLASSES:
                if any(key[0] == group_resource for key in waiting):
                    with pytest.raises(NotDurable):
                        self.store.scan(cluster, group_resource, "", 0, None, 100)
                else:
                    found = self.store.scan(cluster, group_resource, "", 0, None, 100)
                    assert {(group_resource, i.namespace, i.name): i.value for i in found} == {
                        key: value for key, value in expected.items() if key[0] == group_resource
                    }
                    assert self.store.count(cluster, group_resource) == len(found)
                for name in ("a", "b", "first"):
                    key = (group_resource, "x", name)
                    assert self.store.pending(cluster, *key) == self.pending.get((cluster.path, key))
                    if key in waiting:
                        with pytest.raises(NotDurable):
                            self.store.get(cluster, *key)
                    else:
                        assert self.store.get(cluster, *key) == expected.get(key)

    def teardown(self) -> None:
        try:
            self.sync_all()
            assert violations(self.engine) == []
            self.loop.run_until_complete(self.store.close())
        finally:
            self.loop.close()


class ByteBoundMachine(StoreMachine):
    """Little room for the log: compaction forgets by bytes, not by age alone."""

    retained_bytes = 1500

    def check_oldest(self, path: str, before: list[int]) -> None:
        cluster = self.store.pending_cluster(path)
        if cluster is None:
            return
        assert all(new >= old for new, old in zip(cluster.oldest, before, strict=True))
        if cluster.born_in is None and not self.accepted:
            assert cluster.log_bytes <= self.retained_bytes


class RocksdbMachine(StoreMachine):
    def make_engine(self) -> KeyValueEngine:
        self.directory = tempfile.mkdtemp()
        return RocksdbEngine(self.directory)

    def reopen_engine(self) -> None:
        self.engine = RocksdbEngine(self.directory)

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.directory)


@pytest.mark.parametrize(
    ("machine", "examples", "steps"),
    [
        pytest.param(StoreMachine, 50, 40, id="memory"),
        pytest.param(ByteBoundMachine, 30, 40, id="memory, bounded bytes"),
        pytest.param(RocksdbMachine, 5, 40, id="rocksdb"),
    ],
)
def test_every_retained_revision_reads_and_replays_as_it_was(machine: Any, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip

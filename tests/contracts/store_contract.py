"""What every object store must do; a backend adds the fixtures `engine` and `reopen` (a restart on the same data)."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from kcpshard import failpoints
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.events import Change, Commit, EventType
from kcpshard.settings import Settings
from kcpshard.storage import envelope
from kcpshard.storage.clock import ClockBehind
from kcpshard.storage.contract import Compacted, Group, KeyValueEngine, LogicalCluster, NotDurable, Put, ReadOnly
from kcpshard.storage.object_store import Store
from tests.contracts.stored_objects import HeldSync, put, remove

START_US = 1_800_000_000_000_000
LEASES = "leases.coordination.k8s.io"


class Time:
    def __init__(self) -> None:
        self.us = START_US

    def __call__(self) -> int:
        return self.us


def durable(group: Group) -> asyncio.Future[None]:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    group.when_durable(lambda: done.set_result(None))
    group.when_refused(done.set_exception)
    return done


async def born(store: Store, path: str = "root", puts: Sequence[Put] = ()) -> LogicalCluster:
    cluster, pending = store.create_cluster(path, puts or [put("first")])
    await durable(pending.group)
    return cluster


class StoreContract:
    @pytest.fixture
    def now(self) -> Time:
        return Time()

    @pytest.fixture
    async def store(self, engine: KeyValueEngine, now: Time) -> AsyncIterator[Store]:
        store = Store(engine, 1, now)
        yield store
        failpoints.disarm()
        await store.close()

    @pytest.fixture
    async def held(self, engine: KeyValueEngine, now: Time) -> AsyncIterator[tuple[Store, HeldSync]]:
        sync = HeldSync(engine.sync)
        store = Store(engine, 1, now, sync=sync)
        yield store, sync
        while store._writer.newest_group() is not None:
            await asyncio.sleep(0)
            if sync.is_waiting:
                sync.release()
        await store.close()

    # --- logical clusters

    async def test_a_cluster_is_found_once_its_birth_is_durable(self, held: tuple[Store, HeldSync]) -> None:
        store, sync = held
        assert store.find_cluster("root") is None
        cluster, pending = store.create_cluster("root", [put("a"), put("b")])
        assert store.pending_cluster("root") is cluster
        with pytest.raises(NotDurable) as waits:
            store.find_cluster("root")
        assert waits.value.group is pending.group
        assert store.cluster_by_id(cluster.id) is None
        await asyncio.sleep(0)
        sync.release()
        assert store.find_cluster("root") is cluster
        assert store.cluster_by_id(cluster.id) is cluster
        assert cluster.id == cluster.created_revision == pending.revision == store.durable_revision
        assert [i.name for i in store.scan(cluster, "configmaps", "", 0, None, 9)] == ["a", "b"]

    async def test_one_instance_while_somebody_holds_it(self, engine: KeyValueEngine, now: Time) -> None:
        store = Store(engine, 1, now, Settings(cached_clusters=4))
        held = await born(store, "held")
        watched = [weakref.ref(await born(store, f"idle-{n}")) for n in range(20)]
        gc.collect()
        assert store.find_cluster("held") is held
        assert sum(1 for reference in watched if reference() is not None) <= 4
        again = store.find_cluster("idle-0")
        assert again is not None and again.path == "idle-0" and again.oldest_revision == again.id - 1
        await store.close()

    async def test_clusters_are_listed_in_path_order(self, store: Store) -> None:
        for path in ("b", "root:a", "a"):
            await born(store, path)
        assert [c.path for c in store.clusters()] == ["a", "b", "root:a"]
        assert [c.path for c in store.clusters("a")] == ["b", "root:a"]

    async def test_types_know_their_clusters(self, store: Store) -> None:
        first = await born(store, "first")
        second = await born(store, "second", [put("e", group_resource="events")])
        assert list(store.clusters_with("configmaps")) == [first.id]
        assert list(store.clusters_with("events")) == [second.id]
        await durable(store.commit(second, [put("a")]).group)
        assert list(store.clusters_with("configmaps")) == [first.id, second.id]
        assert list(store.clusters_with("configmaps", after=first.id)) == [second.id]
        await durable(store.commit(first, [remove("first")]).group)
        assert list(store.clusters_with("configmaps")) == [second.id]

    # --- one object

    async def test_verbs_see_the_pending_state_and_readers_the_durable_one(self, held: tuple[Store, HeldSync]) -> None:
        store, sync = held
        cluster, _ = store.create_cluster("root", [put("a", data="old")])
        await asyncio.sleep(0)
        sync.release()
        old = store.get(cluster, "configmaps", "default", "a")
        pending = store.commit(cluster, [put("a", data="new")])
        assert store.pending(cluster, "configmaps", "default", "a") == pending.values[0] != old
        with pytest.raises(NotDurable):
            store.get(cluster, "configmaps", "default", "a")
        with pytest.raises(NotDurable):
            store.scan(cluster, "configmaps", "", 0, None, 9)
        assert store.scan(cluster, "configmaps", "other", 0, None, 9) == []
        assert store.get_at(cluster, "configmaps", "default", "a", cluster.id) == old
        await asyncio.sleep(0)
        with pytest.raises(NotDurable):  # written, not synced
            store.get(cluster, "configmaps", "default", "a")
        sync.release()
        assert store.get(cluster, "configmaps", "default", "a") == pending.values[0]

    async def test_an_envelope_holds_what_was_written(self, store: Store) -> None:
        cluster = await born(store)
        write = put("a", labels={"app": "x"}, fields={"spec.nodeName": "n"}, data="å")
        pending = store.commit(cluster, [write])
        await durable(pending.group)
        value = store.get(cluster, "configmaps", "default", "a")
        assert value is not None and envelope.faults(value) == []
        assert envelope.body(value) == write.json.replace(b"0" * 19, b"%019d" % pending.revision)
        assert (envelope.labels(value), envelope.fields(value)) == ({"app": "x"}, {"spec.nodeName": "n"})
        assert (envelope.uid(value), envelope.api_version(value)) == ("uid-a", "v1")
        updated = store.commit(cluster, [put("a")])
        assert envelope.created_revision(updated.values[0]) == pending.revision

    async def test_revisions_grow_and_name_the_shard(self, store: Store, now: Time) -> None:
        cluster = await born(store)
        revisions = [store.commit(cluster, [put("a")]).revision for _ in range(3)]
        now.us -= 100_000
        revisions.append(store.commit(cluster, [put("a")]).revision)
        assert revisions == sorted(set(revisions))
        assert all(revision % 1000 == 1 for revision in revisions)

    async def test_events_come_before_answers_with_whole_previous_states(self, store: Store) -> None:
        cluster = await born(store)
        seen: list[Commit] = []
        order: list[str] = []

        def listen(commits: Sequence[Commit]) -> None:
            seen.extend(commits)
            order.append("event")

        store.on_commit(listen)
        created = store.commit(cluster, [put("a", data="1"), put("b", data="1")])
        updated = store.commit(cluster, [put("a", data="2")])
        deleted = store.commit(cluster, [remove("a")])
        deleted.group.when_durable(lambda: order.append("answer"))
        await durable(deleted.group)
        assert order == ["event", "answer"]
        assert [commit.revision for commit in seen] == [created.revision, updated.revision, deleted.revision]
        assert [[(c.type, c.name) for c in commit.changes] for commit in seen] == [
            [(EventType.ADDED, "a"), (EventType.ADDED, "b")],
            [(EventType.MODIFIED, "a")],
            [(EventType.DELETED, "a")],
        ]
        assert [commit.changes[0].previous for commit in seen] == [None, created.values[0], updated.values[0]]
        assert envelope.revision(deleted.values[0]) == deleted.revision
        assert b"last state" in envelope.body(deleted.values[0])

    async def test_a_repeated_write_finds_its_first_result(self, held: tuple[Store, HeldSync], now: Time) -> None:
        store, sync = held
        cluster, _ = store.create_cluster("root", [put("first")])
        pending = store.commit(cluster, [put("a")], b"0123456789abcdef", 201)
        with pytest.raises(NotDurable):
            store.recorded(cluster, b"0123456789abcdef", now.us)
        await asyncio.sleep(0)
        sync.release()
        assert store.recorded(cluster, b"0123456789abcdef", now.us) == (201, pending.revision, pending.values[0])
        assert store.recorded(cluster, b"0123456789abcdeX", now.us) is None
        assert store.recorded(cluster, b"", now.us) is None
        assert store.recorded(cluster, b"0123456789abcdef", now.us + 60_000_000) is None

    # --- ranges

    async def test_pages_follow_namespace_and_name(self, store: Store) -> None:
        cluster = await born(store, "root", [put(name, namespace) for namespace in "ab" for name in ("x", "x-y", "z")])
        await born(store, "other", [put("q", "a")])
        page = store.scan(cluster, "configmaps", "", 0, ("a", "x"), 3)
        assert [(item.namespace, item.name) for item in page] == [("a", "x-y"), ("a", "z"), ("b", "x")]
        page = store.scan(cluster, "configmaps", "a", 0, ("a", "x-y"), 9)
        assert [(item.namespace, item.name) for item in page] == [("a", "z")]

    async def test_pages_at_one_revision_are_one_cut(self, store: Store) -> None:
        cluster = await born(store, "root", [put(name) for name in "abcde"])
        revision = store.durable_revision
        first = store.scan(cluster, "configmaps", "", revision, None, 2)
        await durable(store.commit(cluster, [remove("c"), put("bb"), put("d", data="changed")]).group)
        rest = store.scan(cluster, "configmaps", "", revision, ("default", first[-1].name), 9)
        assert [item.name for item in (*first, *rest)] == list("abcde")
        assert b"changed" not in rest[1].value
        assert [i.name for i in store.scan(cluster, "configmaps", "", 0, None, 9)] == ["a", "b", "bb", "d", "e"]

    async def test_counts_follow(self, store: Store) -> None:
        cluster = await born(store, "root", [put("a"), put("b")])
        assert store.count(cluster, "configmaps") == 2
        await durable(store.commit(cluster, [remove("a"), put("b"), put("c"), put("d")]).group)
        assert store.count(cluster, "configmaps") == 3
        assert store.count(cluster, "events") == 0

    async def test_counts_of_a_namespace_follow_and_are_unknown_while_something_is_pending(self, store: Store) -> None:
        cluster = await born(store, "root", [put("a"), put("b")])
        assert store.count_in_namespace(cluster, "configmaps", "default") == 2
        pending = store.commit(cluster, [remove("a"), put("c"), put("d"), put("b")])
        assert store.count_in_namespace(cluster, "configmaps", "default") == -1
        await durable(pending.group)
        assert store.count_in_namespace(cluster, "configmaps", "default") == 3
        assert store.count_in_namespace(cluster, "configmaps", "other") == 0

    # --- the log

    async def test_the_log_tells_how_far_it_was_read(self, store: Store) -> None:
        cluster = await born(store)
        for n in range(6):
            pending = store.commit(cluster, [put(f"n{n}")])
        wanted = store.commit(cluster, [put("e", group_resource="events")])
        await durable(wanted.group)
        upto = store.durable_revision
        page = store.log(cluster, cluster.id, upto, 3, "events", 1)
        assert len(page) == 1 and page[0].changes == () and page[0].revision < pending.revision
        found: list[Change] = []
        after = cluster.id
        while page := store.log(cluster, after, upto, 3, "events", 1):
            found += [change for commit in page for change in commit.changes]
            after = page[-1].revision
        assert [(change.revision, change.name) for change in found] == [(wanted.revision, "e")]

    async def test_the_log_keeps_commits_whole(self, store: Store) -> None:
        cluster = await born(store)
        await durable(store.commit(cluster, [put(name) for name in "abcde"]).group)
        (commit,) = store.log(cluster, cluster.id, store.durable_revision, 2)
        assert [change.name for change in commit.changes] == list("abcde")

    async def test_a_replayed_change_carries_the_state_before_it_where_a_selector_needs_it(self, store: Store) -> None:
        cluster = await born(store)
        first = store.commit(cluster, [put("a", labels={"app": "x"}, fields={"f": "1"})])
        same = store.commit(cluster, [put("a", labels={"app": "x"}, fields={"f": "1"}, data="2")])
        relabelled = store.commit(cluster, [put("a", labels={"app": "y"}, fields={"f": "1"})])
        moved = store.commit(cluster, [put("a", labels={"app": "y"}, fields={"f": "2"})])
        await durable(moved.group)
        changes = [c.changes[0] for c in store.log(cluster, first.revision, 1 << 62, 9)]
        assert [c.previous for c in changes[1:]] == [same.values[0], relabelled.values[0]]
        brief = changes[0].previous
        assert brief is not None and not envelope.has_body(brief)
        assert (envelope.revision(brief), envelope.labels(brief)) == (first.revision, {"app": "x"})
        assert envelope.fields(brief) == {"f": "1"}

    async def test_the_log_of_all_clusters_is_in_revision_order(self, store: Store) -> None:
        one, two = await born(store, "one"), await born(store, "two")
        start = store.durable_revision
        expected = [store.commit(cluster, [put("a")]).revision for cluster in (one, two, two, one) for _ in range(2)]
        await durable(store.put_meta({}))
        commits: list[Commit] = []
        after = start
        while page := store.log_all(after, store.durable_revision, 3):
            commits += page
            after = page[-1].revision
        assert [commit.revision for commit in commits] == expected
        assert [commit.cluster_id for commit in commits[:3]] == [one.id, one.id, two.id]

    async def test_nothing_undurable_is_replayed(self, held: tuple[Store, HeldSync]) -> None:
        store, sync = held
        cluster, _ = store.create_cluster("root", [put("a")])
        await asyncio.sleep(0)
        sync.release()
        store.commit(cluster, [put("b")])
        await asyncio.sleep(0)
        assert store.log(cluster, cluster.id, 1 << 62, 9) == []
        assert store.log_all(cluster.id, 1 << 62, 9) == []

    async def test_forgetting_leases_costs_no_other_watch(self, store: Store, now: Time) -> None:
        cluster = await born(store, "root", [put("a"), put("l", group_resource=LEASES)])
        before = cluster.id
        await durable(store.commit(cluster, [put("a"), put("l", group_resource=LEASES)]).group)
        grown: list[LogicalCluster] = []
        store.on_compaction(grown.append)
        assert await store.compact(now.us + 299_000_000) == 0
        assert grown == []
        assert await store.compact(now.us + 301_000_000) > 0
        assert grown and all(each is cluster for each in grown)  # once for each slice, which a slow machine has more of
        assert [len(c.changes) for c in store.log(cluster, before, 1 << 62, 9, "configmaps", 0)] == [1]
        with pytest.raises(Compacted) as error:
            store.log(cluster, before, 1 << 62, 9, LEASES, 2)
        assert error.value.oldest == store.durable_revision
        with pytest.raises(Compacted):
            store.scan(cluster, LEASES, "", before, None, 9, 2)
        with pytest.raises(Compacted):
            store.log_all(before, 1 << 62, 9, LEASES, 2)
        assert len(store.scan(cluster, "configmaps", "", before, None, 9)) == 1
        assert len(store.scan(cluster, LEASES, "", store.durable_revision, None, 9, 2)) == 1

    async def test_a_busy_cluster_forgets_by_bytes_and_its_neighbour_does_not(
        self, engine: KeyValueEngine, now: Time
    ) -> None:
        store = Store(engine, 1, now, Settings(retained_bytes_per_cluster=20_000))
        busy, quiet = await born(store, "busy"), await born(store, "quiet")
        start = store.durable_revision
        for n in range(60):
            await durable(store.commit(busy, [put("a", data="x" * 1000 + str(n))]).group)
        assert await store.compact(now.us) > 0
        assert 0 < busy.log_bytes <= 20_000
        with pytest.raises(Compacted):
            store.log(busy, start, 1 << 62, 9)
        assert store.log(quiet, quiet.id - 1, 1 << 62, 9)
        await store.close()

    # --- meta and life

    async def test_meta_is_opaque_and_pending_at_once(self, store: Store, reopen: Callable[[], KeyValueEngine]) -> None:
        group = store.put_meta({b"owner": b"1", b"gone": b"1"})
        assert store.get_meta(b"owner") == b"1"
        await durable(group)
        await durable(store.put_meta({b"gone": None}))
        assert (store.get_meta(b"owner"), store.get_meta(b"gone")) == (b"1", None)

    async def test_everything_is_there_after_a_restart(
        self, engine: KeyValueEngine, now: Time, reopen: Callable[[], KeyValueEngine]
    ) -> None:
        store = Store(engine, 1, now)
        cluster = await born(store, "root:a", [put("a"), put("b")])
        await durable(store.commit(cluster, [remove("b")], b"0123456789abcdef", 200).group)
        await durable(store.set_cluster_state(cluster, "Sealed"))
        await durable(store.put_meta({b"owner": b"1"}))
        value, revision = store.get(cluster, "configmaps", "default", "a"), store.durable_revision
        await store.close()
        store = Store(reopen(), 1, now)
        again = store.find_cluster("root:a")
        assert again is not None and again is not cluster
        assert (again.id, again.state, again.oldest) == (cluster.id, "Sealed", cluster.oldest)
        assert store.get(again, "configmaps", "default", "a") == value
        assert store.count(again, "configmaps") == 1
        assert store.get_meta(b"owner") == b"1"
        assert store.durable_revision >= revision
        assert [c.revision for c in store.log(again, cluster.id, 1 << 62, 9)] == [revision]
        assert store.recorded(again, b"0123456789abcdef", now.us) is not None
        assert store.commit(again, [put("c")]).revision > revision
        await store.close()

    async def test_the_clock_can_be_raised_a_little(
        self, engine: KeyValueEngine, now: Time, reopen: Callable[[], KeyValueEngine]
    ) -> None:
        store = Store(engine, 1, now)
        cluster = await born(store)
        assert store.raise_clock(cluster.id) is None
        raised = (now.us + 400_000) * 1000 + 7
        group = store.raise_clock(raised)
        assert group is not None
        await durable(group)
        with pytest.raises(ServiceUnavailable):
            store.raise_clock((now.us + 600_000) * 1000)
        await store.close()
        store = Store(reopen(), 1, now)
        again = store.find_cluster("root")
        assert again is not None
        assert store.commit(again, [put("a")]).revision > raised
        await store.close()

    async def test_a_clock_far_behind_is_refused_until_accepted(
        self, engine: KeyValueEngine, now: Time, reopen: Callable[[], KeyValueEngine]
    ) -> None:
        store = Store(engine, 1, now)
        await born(store)
        revision = store.durable_revision
        await store.close()
        now.us -= 501_000
        engine = reopen()
        with pytest.raises(ClockBehind, match="--accept-clock"):
            Store(engine, 1, now)
        store = Store(engine, 1, now, Settings(accept_clock=True))
        cluster = store.find_cluster("root")
        assert cluster is not None
        assert store.commit(cluster, [put("a")]).revision > revision
        await store.close()

    # --- bad days

    async def test_a_full_disk_takes_deletions_only(self, store: Store, now: Time) -> None:
        cluster = await born(store, "root", [put("a"), put("b")])
        failpoints.arm("writer.before_write", "full")
        refused = store.commit(cluster, [put("c")])
        refusals: list[ReadOnly] = []
        refused.group.when_refused(refusals.append)
        refused.group.when_durable(lambda: pytest.fail("answered a write that failed"))
        assert store.count(cluster, "configmaps") == 3
        await asyncio.sleep(0.01)
        assert "No space left" in refusals[0].cause
        assert store.count(cluster, "configmaps") == 2
        assert store.get(cluster, "configmaps", "default", "c") is None
        with pytest.raises(ReadOnly):
            store.commit(cluster, [put("c")])
        with pytest.raises(ReadOnly):
            store.create_cluster("late", [put("c")])
        assert store.statistics().read_only
        failpoints.disarm()
        await durable(store.commit(cluster, [remove("a")]).group)
        await durable(store.commit(cluster, [put("c")]).group)
        assert store.statistics().read_only == ""

    async def test_a_refused_birth_leaves_the_path_free(self, store: Store, now: Time) -> None:
        failpoints.arm("writer.before_write", "readonly")
        store.create_cluster("root", [put("a")])
        await asyncio.sleep(0.01)
        assert store.pending_cluster("root") is None
        failpoints.disarm()
        now.us += 1_000_000
        await born(store, "root")

    async def test_a_reserve_is_kept_for_deletions(self, engine: Any, now: Time, monkeypatch: Any) -> None:
        free = [1 << 30]
        monkeypatch.setattr(engine, "free_bytes", lambda: free[0])
        store = Store(engine, 1, now)
        cluster = await born(store)
        free[0] = 1 << 20
        now.us += 1_000_000
        with pytest.raises(ReadOnly, match="nearly full"):
            store.commit(cluster, [put("a")])
        await durable(store.commit(cluster, [remove("first")]).group)
        free[0] = 1 << 30
        now.us += 1_000_000
        await durable(store.commit(cluster, [put("a")]).group)
        await store.close()

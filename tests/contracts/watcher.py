"""What every Watcher of one shard does, in this process or over gRPC: Kubernetes' watch, over breaks and restarts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.watch_client import WatchClient
from tests.contracts.stored_objects import put, remove
from tests.contracts.watch_tier import Reader, WatchTier, start


class Rig(NamedTuple):
    """A shard, a client to it, and how to interrupt them."""

    tier: WatchTier
    client: WatchClient
    break_link: Callable[[], Awaitable[None]]
    restart: Callable[[], Awaitable[None]]

    def watch(self, **request: object) -> Reader:
        reader = Reader()
        reader.handle = self.client.watch(start(**request), reader)  # type: ignore[arg-type]
        return reader


class WatcherContract:
    @pytest.fixture
    async def root(self, rig: Rig) -> Rig:
        rig.tier.bear("root", put("a"), put("b"))
        await rig.tier.settled()
        return rig

    async def test_a_watch_without_a_revision_shows_the_present_state_then_changes(self, root: Rig) -> None:
        reader = root.watch(initial=True)
        await reader.saw("started", "ADDED a", "ADDED b", f"initial {root.tier.store.durable_revision}")
        await root.tier.committed("root", put("a", data="2"))
        await root.tier.committed("root", remove("b"))
        await reader.saw("MODIFIED a", "DELETED b")

    async def test_a_watch_from_a_revision_shows_what_came_after_it(self, root: Rig) -> None:
        revision = await root.tier.committed("root", put("c"))
        await root.tier.committed("root", put("d"))
        reader = root.watch(revision=revision)
        await root.tier.committed("root", put("e"))
        await reader.saw("started", "ADDED d", "ADDED e")

    async def test_other_types_and_logical_clusters_are_not_seen(self, root: Rig) -> None:
        root.tier.bear("other", put("foreign"))
        reader = root.watch(initial=True)
        await reader.complete_up_to(root.tier.store.durable_revision)
        await root.tier.committed("other", put("foreign", data="2"))
        await root.tier.committed("root", put("l", group_resource="leases.coordination.k8s.io"))
        await root.tier.committed("root", put("c"))
        await reader.saw("ADDED c")
        assert "foreign" not in str(reader.log)
        assert "ADDED l" not in reader.log

    async def test_objects_enter_and_leave_a_label_selection(self, root: Rig) -> None:
        reader = root.watch(initial=True, label_selector="app=x")
        await reader.complete_up_to(root.tier.store.durable_revision)
        await root.tier.committed("root", put("a", labels={"app": "x"}, data="in"))
        left = await root.tier.committed("root", put("a", labels={"app": "y"}, data="out"))
        await root.tier.committed("root", put("a", labels={"app": "x"}))
        await root.tier.committed("root", put("a", labels={"app": "x"}, data="3"))
        await root.tier.committed("root", remove("a"))
        await reader.saw("ADDED a", "DELETED a", "ADDED a", "MODIFIED a", "DELETED a")
        gone = reader.events[1]
        assert gone.revision == left
        assert b'"in"' in gone.object, "the previous content"
        assert str(left).encode() in gone.object, "at the new revision"

    async def test_selections_change_the_same_way_when_read_from_the_log(self, root: Rig) -> None:
        revision = root.tier.store.durable_revision
        for labels in ({"app": "x"}, {"app": "y"}, {"app": "x"}):
            await root.tier.committed("root", put("a", labels=labels))
        await root.restart()
        reader = root.watch(revision=revision, label_selector="app=x")
        await reader.saw("started", "ADDED a", "DELETED a", "ADDED a")

    async def test_a_field_selector_names_one_object(self, root: Rig) -> None:
        reader = root.watch(initial=True, namespace="default", field_selector="metadata.name=b")
        await reader.saw("started", "ADDED b", f"initial {root.tier.store.durable_revision}")
        await root.tier.committed("root", put("a", data="2"))
        await root.tier.committed("root", put("b", data="2"))
        await reader.saw("MODIFIED b")
        assert "MODIFIED a" not in reader.log

    async def test_a_compacted_revision_is_expired(self, root: Rig) -> None:
        revision = root.tier.store.durable_revision
        await root.tier.committed("root", put("c"))
        root.tier.now_us += 100 * 3600 * 1_000_000
        await root.tier.committed("root", put("d"))
        await root.tier.store.compact(root.tier.now_us)
        await root.restart()
        reader = root.watch(revision=revision)
        await reader.saw("ended 410")
        oldest = root.tier.cluster("root").oldest_revision
        assert reader.status["message"] == f"too old resource version: {revision} ({oldest})"
        assert reader.status["reason"] == "Expired"

    async def test_a_revision_from_before_the_birth_is_expired(self, root: Rig) -> None:
        await root.tier.committed("root", put("c"))
        revision = root.tier.store.durable_revision
        root.tier.now_us += 1000
        root.tier.bear("late")
        await root.tier.settled()
        reader = root.watch(cluster="late", revision=revision)
        await reader.saw("ended 410")

    async def test_a_revision_beyond_the_newest_is_waited_for(self, root: Rig) -> None:
        future = root.tier.store.durable_revision + 5_000
        reader = root.watch(revision=future)
        await asyncio.sleep(0.01)
        assert reader.log == []
        root.tier.now_us += 4
        first = await root.tier.committed("root", put("c"))
        assert first >= future
        await root.tier.committed("root", put("d"))
        await reader.saw("ADDED d")

    async def test_a_revision_that_does_not_come_is_too_large(self, root: Rig) -> None:
        newest = root.tier.store.durable_revision
        reader = root.watch(revision=newest + 10**9)
        await reader.saw("ended 504")
        assert reader.status["reason"] == "Timeout"
        assert reader.status["message"] == f"Timeout: Too large resource version: {newest + 10**9}, current: {newest}"
        assert reader.status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
        assert reader.status["details"]["retryAfterSeconds"] == 1

    async def test_an_unborn_logical_cluster_is_waited_for(self, root: Rig) -> None:
        reader = root.watch(cluster="admin", initial=True)
        await reader.saw("started", f"initial {root.tier.store.durable_revision}")
        root.tier.bear("admin", put("first"), put("second"))
        await reader.saw("ADDED first", "ADDED second")
        await root.tier.committed("admin", put("third"))
        await reader.saw("ADDED third")

    async def test_a_birth_during_a_break_is_seen_whole(self, root: Rig) -> None:
        reader = root.watch(cluster="admin", revision=root.tier.store.durable_revision)
        await reader.saw("started")
        await root.break_link()
        root.tier.now_us += 1000
        root.tier.bear("admin", put("first"), put("second"))
        await root.tier.settled()
        await reader.saw("started", "ADDED first", "ADDED second")

    async def test_an_unknown_type_is_not_found_before_it_starts(self, root: Rig) -> None:
        reader = root.watch(plural="gadgets")
        await reader.saw("ended 404")
        assert "started" not in reader.log

    async def test_a_type_without_watch_is_not_allowed(self, root: Rig) -> None:
        reader = root.watch(plural="reviews")
        await reader.saw("ended 405")

    async def test_a_wrong_selector_is_refused(self, root: Rig) -> None:
        reader = root.watch(label_selector="a in b")
        await reader.saw("ended 400")

    async def test_another_version_is_converted(self, root: Rig) -> None:
        await root.tier.committed("root", put("e", group_resource="events"))
        reader = root.watch(plural="events", group="events.k8s.io", initial=True)
        other = root.watch(plural="events", initial=True)
        await reader.complete_up_to(root.tier.store.durable_revision)
        await other.complete_up_to(root.tier.store.durable_revision)
        await root.tier.committed("root", put("e", group_resource="events", data="2"))
        await reader.saw("MODIFIED e")
        await other.saw("MODIFIED e")
        assert {b'"apiVersion":"events.k8s.io/v1"' in e.object for e in reader.events} == {True}
        assert {b'"apiVersion":"v1"' in e.object for e in other.events} == {True}

    async def test_columns_and_kind_come_before_the_first_event(self, root: Rig) -> None:
        reader = root.watch(plural="widgets", group="example.dev", initial=True, want_columns=True)
        await reader.saw("started", f"initial {root.tier.store.durable_revision}")
        assert reader.handle is not None
        assert (reader.handle.columns, reader.handle.kind) == (b'[{"name":"Age"}]', "Thing")

    async def test_breaks_lose_and_repeat_nothing(self, root: Rig) -> None:
        reader = root.watch(initial=True)
        await reader.complete_up_to(root.tier.store.durable_revision)
        wanted = list(reader.log)
        for number in range(20):
            await root.tier.committed("root", put(f"x{number}"))
            await root.break_link()
            await root.tier.committed("root", put(f"y{number}"))
            wanted += [f"ADDED x{number}", f"ADDED y{number}"]
        await reader.saw(*wanted)
        assert reader.log == wanted

    async def test_restarts_of_the_shard_are_not_noticed(self, root: Rig) -> None:
        reader = root.watch(initial=True)
        await reader.complete_up_to(root.tier.store.durable_revision)
        wanted = list(reader.log)
        for number in range(5):
            await root.tier.committed("root", put(f"x{number}"))
            await root.restart()
            await root.tier.committed("root", put(f"y{number}"))
            wanted += [f"ADDED x{number}", f"ADDED y{number}"]
        await reader.saw(*wanted)
        assert reader.log == wanted

    async def test_a_break_within_the_initial_events_resumes_inside_them(self, root: Rig) -> None:
        names = [f"n{number:04d}" for number in range(700)]
        root.tier.bear("big", *(put(name, data="x" * 900) for name in names))
        await root.tier.settled()
        reader = root.watch(cluster="big", initial=True)
        breaks = iter((3, 200, 650))
        due = next(breaks)

        async def interrupt() -> None:
            nonlocal due
            while True:
                await asyncio.sleep(0)
                if len(reader.events) >= due:
                    await root.break_link()
                    due = next(breaks, 10**9)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(interrupt())
            await reader.complete_up_to(root.tier.store.durable_revision)
            task.cancel()
        added = [entry.split()[1] for entry in reader.log if entry.startswith("ADDED")]
        assert added == names
        assert reader.log.count("started") == 1

    async def test_a_paused_reader_gets_nothing_and_then_everything(self, root: Rig) -> None:
        reader = root.watch(initial=True)
        handle = reader.handle
        assert handle is not None
        reader.on_event = handle.pause
        await reader.saw("started", "ADDED a")
        await root.tier.committed("root", put("c"))
        reader.on_event = lambda: None
        handle.resume()
        await reader.saw("ADDED b", f"initial {reader.events[0].revision}", "ADDED c")
        handle.pause()
        await root.tier.committed("root", put("d"))
        await root.break_link()
        await root.tier.committed("root", put("e"))
        seen = list(reader.log)
        handle.resume()
        await reader.saw(*seen, "ADDED d", "ADDED e")

    async def test_an_idle_watch_is_complete_up_to_other_clusters_commits(self, root: Rig) -> None:
        root.tier.bear("other")
        reader = root.watch(initial=True)
        await reader.complete_up_to(root.tier.store.durable_revision)
        revision = await root.tier.committed("other", put("o"))
        await reader.complete_up_to(revision)

    async def test_a_closed_watch_is_forgotten_on_both_sides(self, root: Rig) -> None:
        reader, other = root.watch(initial=True), root.watch(initial=True)
        await reader.complete_up_to(root.tier.store.durable_revision)
        assert reader.handle is not None
        reader.handle.close()
        reader.handle.close()
        await root.tier.committed("root", put("c"))
        await other.saw("ADDED c")
        assert "ADDED c" not in reader.log
        async with asyncio.timeout(60):
            while root.tier.service.hub.statistics()["watches"] != 1:
                await asyncio.sleep(0.001)
        assert root.client.statistics()["watches"] == 1

    async def test_a_moved_logical_cluster_is_handed_on_where_it_ended(self, root: Rig) -> None:
        moved: list[tuple[object, pb.StartWatch, int]] = []
        root.client.on_moved = lambda handle, resume, shard: moved.append((handle, resume, shard))
        reader = root.watch(initial=True)
        await reader.complete_up_to(root.tier.store.durable_revision)
        revision = await root.tier.committed("root", put("c"))
        root.tier.service.hub.release("root", 2, root.tier.store.durable_revision)
        root.tier.ownership.moved["root"] = 2
        late = root.watch(revision=revision)
        async with asyncio.timeout(60):
            while len(moved) < 2:
                await asyncio.sleep(0.001)
        (handle, resume, shard), (late_handle, late_resume, _) = moved
        assert (handle, shard, resume.revision, resume.resumed) == (reader.handle, 2, revision, True)
        assert (late_handle, late_resume.revision, late_resume.resumed) == (late.handle, revision, False)
        assert reader.log[-1] == "ADDED c"
        del root.tier.ownership.moved["root"]
        again = Reader()
        root.client.watch(resume, again)
        await root.tier.committed("root", put("d"))
        await again.saw("ADDED d")
        assert again.log == ["ADDED d"], "a resumed watch is not started twice"

    async def test_many_watches_share_an_event(self, root: Rig) -> None:
        readers = [root.watch(initial=True) for _ in range(50)]
        for reader in readers:
            await reader.complete_up_to(root.tier.store.durable_revision)
        await root.tier.committed("root", put("c"))
        for reader in readers:
            await reader.saw("ADDED c")
        assert len({id(reader.events[-1]) for reader in readers}) == 1
        assert root.tier.service.hub.statistics()["events"] == 1

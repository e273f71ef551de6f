"""Groups: what a sync covers, in which order things are told, and what happens when the disk says no."""

import asyncio
import errno
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kcpshard import failpoints
from kcpshard.api.events import Commit
from kcpshard.storage.contract import ReadOnly
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.writer import LoopSync, SyncThread, WriteGroup, Writer
from tests.contracts.stored_objects import HeldSync


def nothing(_: WriteGroup) -> None:
    pass


class Parts:
    def __init__(self, batch_bytes: int = 1 << 20) -> None:
        self.engine = MemoryEngine()
        self.sync = HeldSync(self.engine.sync)
        self.writer = Writer(self.engine, batch_bytes, self.sync, 0, nothing, nothing)

    def write(self, revision: int, key: bytes = b"key", size: int = 1) -> WriteGroup:
        group = self.writer.gather()
        group.batch.put("objects", key, b"x" * size)
        group.entries[key] = b"x" * size
        self.writer.overlay[key] = (b"x" * size, group)
        self.writer.added(group, Commit(revision, 1, ()))
        return group


async def test_writes_of_one_turn_are_one_group() -> None:
    parts = Parts()
    first, second = parts.write(1), parts.write(2)
    assert first is second
    assert parts.engine.get("objects", b"key") is None
    await asyncio.sleep(0)
    assert parts.engine.get("objects", b"key") == b"x"
    assert parts.writer.durable == 0
    parts.sync.release()
    assert parts.writer.durable == 2
    assert parts.writer.overlay == {}


async def test_the_next_group_gathers_while_one_syncs() -> None:
    parts = Parts()
    first = parts.write(1)
    await asyncio.sleep(0)
    second, third = parts.write(2), parts.write(3)
    await asyncio.sleep(0)
    assert first is not second and second is third
    parts.sync.release()
    assert (first.is_durable, second.is_durable) == (True, False)
    assert parts.writer.overlay[b"key"][1] is second
    parts.sync.release()
    assert second.is_durable and parts.writer.durable == 3


async def test_a_large_batch_is_written_early_and_synced_with_the_rest() -> None:
    parts = Parts(batch_bytes=1000)
    first = parts.write(1, size=2000)
    assert parts.engine.get("objects", b"key") is not None
    second = parts.write(2)
    assert first is not second
    await asyncio.sleep(0)
    told: list[int] = []
    parts.writer.on_commit(lambda commits: told.extend(c.revision for c in commits))
    parts.sync.release()
    assert first.is_durable and second.is_durable and told == [1, 2]


async def test_callbacks_come_in_order_and_late_ones_at_once() -> None:
    parts = Parts()
    told: list[str] = []
    parts.writer.on_commit(lambda _: told.append("event"))
    group = parts.write(1)
    group.when_durable(lambda: told.append("first"))
    group.when_durable(lambda: told.append("second"))
    await asyncio.sleep(0)
    parts.sync.release()
    group.when_durable(lambda: told.append("late"))
    assert told == ["event", "first", "second", "late"]


async def test_a_refused_group_uncovers_what_it_had_hidden() -> None:
    parts = Parts()
    kept = parts.write(1)
    await asyncio.sleep(0)
    refused = parts.write(2)
    refusals: list[ReadOnly] = []
    refused.when_refused(refusals.append)
    failpoints.arm("writer.before_write", "full")
    parts.sync.release()
    failpoints.disarm()
    assert kept.is_durable and not refused.is_durable
    assert "No space left" in refusals[0].cause
    assert parts.writer.overlay == {}
    assert parts.writer.durable == 1
    refused.when_refused(refusals.append)
    refused.when_durable(lambda: pytest.fail("it never was"))
    assert len(refusals) == 2
    again = parts.write(3)
    await asyncio.sleep(0)
    parts.sync.release()
    assert again.is_durable and parts.writer.refused is None


async def wait_for(event: threading.Event) -> None:
    assert await asyncio.get_running_loop().run_in_executor(None, event.wait, 5)


async def test_a_failed_sync_ends_everything_and_announces_nothing() -> None:
    failed = threading.Event()
    errors: list[BaseException] = []

    def sync() -> None:
        raise OSError(5, "Input/output error")

    def fail(error: BaseException) -> None:
        errors.append(error)
        failed.set()

    thread = SyncThread(sync, fail)
    thread.start(lambda: pytest.fail("announced"))
    await wait_for(failed)
    assert "Input/output error" in str(errors[0])
    thread.close()


async def test_the_failpoint_before_the_sync_is_on_the_sync_thread() -> None:
    failed = threading.Event()
    failpoints.arm("writer.before_sync", "raise")
    thread = SyncThread(lambda: None, lambda _: failed.set())
    thread.start(lambda: pytest.fail("announced"))
    await wait_for(failed)
    failpoints.disarm()
    thread.close()


@pytest.mark.parametrize("make", [pytest.param(LoopSync, id="loop"), pytest.param(SyncThread, id="thread")])
async def test_a_sync_tells_the_loop_when_it_is_done(make: Callable[..., Any]) -> None:
    synced: list[str] = []
    sync = make(lambda: synced.append("synced"), *([pytest.fail] if make is SyncThread else []))
    done = asyncio.Event()
    sync.start(done.set)
    await asyncio.wait_for(done.wait(), 60)
    assert synced == ["synced"]
    sync.close()


@pytest.mark.parametrize(
    ("number", "told"), [(errno.EMFILE, 1), (errno.ENFILE, 1), (errno.ENOSPC, 0), (errno.EROFS, 0)]
)
async def test_an_engine_that_will_never_write_again_is_told_of(number: int, told: int) -> None:
    """RocksDB stays read-only after a lack of descriptors, even when there are some again: only a new process helps."""
    parts, hopeless = Parts(), []
    parts.writer = Writer(parts.engine, 1 << 20, parts.sync, 0, nothing, nothing, hopeless.append)

    def fail(_: object) -> None:
        raise OSError(number, "no")

    parts.engine.write = fail  # type: ignore[method-assign]
    group = parts.write(1)
    await asyncio.sleep(0)
    assert len(hopeless) == told
    assert isinstance(group.refusal, ReadOnly)


async def test_what_gathered_behind_a_slow_sync_is_announced_in_portions() -> None:
    """All of it in one turn would hold the loop."""
    parts, turns, told = Parts(batch_bytes=1), 0, list[tuple[int, int]]()
    parts.writer.on_commit(lambda commits: told.extend((turns, commit.revision) for commit in commits))
    groups = [parts.write(revision) for revision in range(1, 101)]
    assert len(set(map(id, groups))) == 100
    await asyncio.sleep(0)
    parts.write(101)  # joins the next sync, which starts when all has been told
    parts.sync.release()
    while parts.writer.durable < 100:
        assert parts.writer.newest_group() is not None
        turns += 1
        await asyncio.sleep(0)
    assert [revision for _, revision in told] == list(range(1, 101))
    assert [sum(turn == each for each, _ in told) for turn in range(3)] == [48, 48, 4]
    parts.sync.release()
    await asyncio.sleep(0)
    assert parts.writer.durable == 101


async def test_a_large_commit_is_written_in_a_turn_of_its_own() -> None:
    """Gathering it has held the loop already."""
    parts = Parts(batch_bytes=10)
    small = parts.write(1)  # so that a sync is under way
    await asyncio.sleep(0)
    large = parts.write(2, b"large", 1000)
    assert parts.engine.get("objects", b"large") is None and parts.writer.newest_group() is large
    await asyncio.sleep(0)
    assert parts.engine.get("objects", b"large") is not None
    parts.sync.release()
    parts.sync.release()
    assert small.is_durable and large.is_durable

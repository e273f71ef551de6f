import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from kcpshard.api.errors import ServiceUnavailable, TooManyRequests
from kcpshard.workers import pool as pools
from kcpshard.workers.pool import JobFailed, WorkerPool

JOBS = "tests.kcpshard.workers.jobs"


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    made = WorkerPool(processes=1)
    yield made
    await made.close()


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_bytes_in_bytes_out_by_one_process(pool: WorkerPool) -> None:
    large = os.urandom(3 << 20)
    assert await pool.run("a", f"{JOBS}:echo", large) == large
    first = await pool.run("a", f"{JOBS}:pid", b"")
    assert await pool.run("b", f"{JOBS}:pid", b"") == first
    assert int(first) != os.getpid()
    assert pool.statistics().jobs == 3


async def test_a_job_may_ask(pool: WorkerPool) -> None:
    async def answer(question: bytes) -> bytes:
        await asyncio.sleep(0)
        return question.upper()

    assert await pool.run("a", f"{JOBS}:curious", b"", answer) == b"ONETWO"


async def test_what_a_job_prints_is_no_answer(pool: WorkerPool) -> None:
    assert await pool.run("a", f"{JOBS}:chatty", b"") == b"fine"


async def test_an_exception_is_told_and_the_process_goes_on(pool: WorkerPool) -> None:
    first = await pool.run("a", f"{JOBS}:pid", b"")
    with pytest.raises(JobFailed, match="a bug"):
        await pool.run("a", f"{JOBS}:broken", b"")
    assert await pool.run("a", f"{JOBS}:pid", b"") == first


async def test_a_memory_bomb_ends_its_job_only(pool: WorkerPool) -> None:
    with pytest.raises((JobFailed, ServiceUnavailable)):
        await pool.run("a", f"{JOBS}:bomb", b"")
    assert await pool.run("a", f"{JOBS}:echo", b"x") == b"x"


async def test_a_dead_worker_is_replaced(pool: WorkerPool) -> None:
    with pytest.raises(ServiceUnavailable):
        await pool.run("a", f"{JOBS}:suicide", b"")
    assert await pool.run("a", f"{JOBS}:echo", b"x") == b"x"
    assert pool.statistics().killed == 1


async def test_past_its_deadline_a_job_is_ended_with_its_process(pool: WorkerPool) -> None:
    first = int(await pool.run("a", f"{JOBS}:pid", b""))
    with pytest.raises(ServiceUnavailable):
        await pool.run("a", f"{JOBS}:endless", b"", timeout_s=0.05)
    assert await pool.run("a", f"{JOBS}:echo", b"x") == b"x"
    assert not is_alive(first)


async def test_a_cancelled_job_is_ended_and_the_next_one_served(pool: WorkerPool) -> None:
    async with asyncio.TaskGroup() as tasks:
        stuck = tasks.create_task(pool.run("a", f"{JOBS}:endless", b""))
        waiting = tasks.create_task(pool.run("a", f"{JOBS}:endless", b""))
        served = tasks.create_task(pool.run("b", f"{JOBS}:echo", b"x"))
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.sleep(0)
        stuck.cancel()
        assert await served == b"x"


async def test_the_queue_is_bounded_for_each_and_for_all(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_QUEUED_BYTES", 10)
    async with asyncio.TaskGroup() as tasks:
        stuck = tasks.create_task(pool.run("a", f"{JOBS}:endless", b""))
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests):
            await pool.run("a", f"{JOBS}:echo", b"more than that")
        stuck.cancel()


async def test_a_latecomer_is_served_before_a_flood() -> None:
    pool = WorkerPool(processes=1)
    order: list[str] = []

    async def one(key: str) -> None:
        await pool.run(key, f"{JOBS}:echo", b"")
        order.append(key)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(10):
                tasks.create_task(one("flood"))
            await asyncio.sleep(0)
            tasks.create_task(one("quiet"))
        assert "quiet" in order[:4]
    finally:
        await pool.close()


async def test_an_idle_process_ends() -> None:
    pool = WorkerPool(processes=1, idle_s=0.01)
    found = int(await pool.run("a", f"{JOBS}:pid", b""))
    while is_alive(found):
        await asyncio.sleep(0.01)
    assert await pool.run("a", f"{JOBS}:echo", b"x") == b"x"
    await pool.close()

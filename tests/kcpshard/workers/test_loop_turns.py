import asyncio
import time
from functools import partial

from kcpshard.workers.loop_turns import BURST_S, SHARE, LoopTurns


def work_for(seconds: float) -> None:
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass


async def test_who_is_interrupted_has_spent_nothing() -> None:
    turns = LoopTurns()
    began = time.perf_counter()
    work_for(0.002)
    time.sleep(0.1)  # as if another process had the processor
    assert 0.002 <= turns.spent(time.perf_counter() - began) < 0.05
    assert turns.spent(0.00005) == 0.00005, "too little to ask"


async def test_below_its_share_nobody_queues() -> None:
    turns = LoopTurns()
    now = 100.0
    assert not turns.is_over("a", now)
    turns.charge("a", BURST_S / 2, now)
    assert not turns.is_over("a", now)
    turns.charge("a", BURST_S, now)
    assert turns.is_over("a", now) and not turns.is_over("b", now)


async def test_the_share_is_renewed_with_time() -> None:
    turns = LoopTurns()
    turns.charge("a", 1.0, 100.0)
    assert turns.is_over("a", 100.0 + 0.9 * (1.0 - BURST_S) / SHARE)
    assert not turns.is_over("a", 100.0 + 1.1 * (1.0 - BURST_S) / SHARE)
    assert not turns.is_over("a", 100.0 + 1.1 / SHARE)
    assert "a" not in turns.spenders


async def test_who_weighs_more_has_a_greater_share() -> None:
    turns = LoopTurns({"heavy": 4.0, "light": 0.5, "usual": 1.0}.__getitem__)
    spent = 1.0
    for key, weight in (("heavy", 4.0), ("light", 0.5), ("usual", 1.0)):
        turns.charge(key, spent, 100.0)
        renewed = (spent - BURST_S * weight) / (SHARE * weight)
        assert turns.is_over(key, 100.0 + 0.9 * renewed), key
        assert not turns.is_over(key, 100.0 + 1.1 * renewed), key


async def test_who_weighs_more_has_more_turns() -> None:
    turns = LoopTurns({"heavy": 3.0, "light": 1.0}.__getitem__)
    order: list[str] = []

    def work(key: str) -> None:
        order.append(key)
        work_for(0.001)

    for key in ("light", "heavy"):
        for _ in range(40):
            assert turns.queue(key, partial(work, key))
    while len(turns) > 40:
        await asyncio.sleep(0)
    assert 1.5 < order.count("heavy") / order.count("light") < 6


async def test_queued_work_runs_a_little_in_each_turn_of_the_loop() -> None:
    turns = LoopTurns()
    order: list[str] = []

    def work() -> None:
        order.append("flood")
        work_for(0.003)

    for _ in range(5):
        assert turns.queue("flood", work)
    for _ in range(3):
        await asyncio.sleep(0)
        order.append("other")
    assert order.count("flood") <= 4 and order.index("other") <= 2
    while len(turns):
        await asyncio.sleep(0)
    assert order.count("flood") == 5


async def test_while_something_of_it_waits_all_of_it_waits() -> None:
    turns = LoopTurns()
    turns.queue("a", lambda: None)
    assert turns.is_over("a", time.perf_counter())
    await asyncio.sleep(0)
    assert not turns.is_over("a", time.perf_counter())


async def test_slices_of_many_coroutines_alternate_with_those_of_others() -> None:
    turns = LoopTurns()
    order: list[str] = []

    async def slices(key: str, number: int) -> None:
        for _ in range(number):
            order.append(key)
            work_for(0.002)
            await turns.turn(key)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(slices("flood", 10))
        while not len(turns):  # until it has had its share
            await asyncio.sleep(0)
        started = len(order)
        tasks.create_task(slices("quiet", 3))
    quiet = [place for place, key in enumerate(order) if key == "quiet"]
    assert quiet[-1] - started < 12  # of about eighty that the flood still had
    assert order.count("flood") == 100


async def test_a_cancelled_slice_takes_nobodys_turn() -> None:
    turns = LoopTurns()
    turns.charge("a", 10.0, time.perf_counter())
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(turns.turn("a"))
        await asyncio.sleep(0)
        waiting.cancel()
        await turns.turn("b")
    assert len(turns) == 0


async def test_spenders_are_bounded() -> None:
    turns = LoopTurns()
    for n in range(10_000):
        turns.charge(str(n), 0.001, 100.0 + n)
    assert len(turns.spenders) <= 4097

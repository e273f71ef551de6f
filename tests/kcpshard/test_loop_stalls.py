import asyncio
import time

from kcpshard.loop_stalls import BOUNDS, LoopStalls


async def test_work_on_the_loop_counts_as_stall_and_as_hold() -> None:
    stalls = LoopStalls(interval_s=0.001)
    stalls.start()
    try:
        await asyncio.sleep(0.005)
        end = time.thread_time() + 0.06
        while time.thread_time() < end:
            pass
        await asyncio.sleep(0.01)
    finally:
        stalls.stop()
    assert stalls.stalls.longest >= 0.05
    assert 0.05 <= stalls.holds.longest < 0.2
    assert sum(stalls.holds.counts[: BOUNDS.index(0.05) + 1]) < sum(stalls.holds.counts)


async def test_waiting_for_the_processor_is_a_stall_but_no_hold() -> None:
    stalls = LoopStalls(interval_s=0.001)
    stalls.start()
    try:
        await asyncio.sleep(0.005)
        time.sleep(0.06)  # as if another process had it
        await asyncio.sleep(0.01)
    finally:
        stalls.stop()
    assert stalls.stalls.longest >= 0.05
    assert stalls.holds.longest < 0.04


async def test_an_idle_loop_has_no_stalls_worth_the_name() -> None:
    stalls = LoopStalls(interval_s=0.001)
    stalls.start()
    await asyncio.sleep(0.01)
    stalls.stop()
    counted = sum(stalls.stalls.counts)
    await asyncio.sleep(0.01)
    assert sum(stalls.stalls.counts) == counted

"""The wheel: everything is due once, not before its time and at most a tick late."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from kcpshard.rpc.deadlines import TICK_S, Deadlines, DeadlineWheel

times = st.floats(0, 100, allow_nan=False)


@given(st.lists(times), times)
def test_exactly_what_is_past_is_due(deadlines: list[float], now: float) -> None:
    wheel: DeadlineWheel[int] = DeadlineWheel()
    for item, deadline in enumerate(deadlines):
        wheel.add(item, deadline)
    due = set(wheel.due(now))
    assert all(deadlines[item] <= now for item in due)
    assert all(item in due for item, deadline in enumerate(deadlines) if deadline + TICK_S <= now)
    assert len(wheel) == len(deadlines) - len(due)
    assert set(wheel.due(200)) == set(range(len(deadlines))) - due


@given(st.lists(times, min_size=1), st.data())
def test_what_was_discarded_is_never_due(deadlines: list[float], data: st.DataObject) -> None:
    wheel: DeadlineWheel[int] = DeadlineWheel()
    for item, deadline in enumerate(deadlines):
        wheel.add(item, deadline)
    gone = data.draw(st.sets(st.integers(0, len(deadlines) - 1)))
    for item in gone:
        wheel.discard(item, deadlines[item])
    assert set(wheel.due(200)) == set(range(len(deadlines))) - gone
    assert wheel.next_due() is None


def test_an_emptied_bucket_leaves_nothing_behind() -> None:
    wheel: DeadlineWheel[str] = DeadlineWheel()
    for n in range(1000):
        wheel.add("a", float(n))
        wheel.discard("a", float(n))
        assert wheel.next_due() is None
    wheel.discard("never there", 5.0)
    assert len(wheel._buckets) == len(wheel._ticks) == 0


async def test_items_are_called_in_time_on_the_loop() -> None:
    loop, due = asyncio.get_running_loop(), []
    deadlines: Deadlines[str] = Deadlines(loop, due.append)
    now = loop.time()
    deadlines.add("late", now + 60)
    deadlines.add("soon", now + 0.06)
    deadlines.add("gone", now + 0.06)
    deadlines.discard("gone", now + 0.06)
    async with asyncio.timeout(60):
        while not due:
            await asyncio.sleep(0.01)
    assert due == ["soon"]
    assert loop.time() >= now + 0.06
    deadlines.close()


async def test_a_deadline_in_the_past_is_due_at_once() -> None:
    due: list[str] = []
    deadlines: Deadlines[str] = Deadlines(asyncio.get_running_loop(), due.append)
    deadlines.add("past", asyncio.get_running_loop().time() - 1)
    await asyncio.sleep(0.01)
    assert due == ["past"]

import asyncio
import threading
from collections.abc import Sequence

import pytest

from kcpshard.callouts.errors import OverBudget
from kcpshard.callouts.lookups import PER_CLUSTER, Lookups


async def test_an_answer_is_used_again_for_a_while() -> None:
    asked: list[str] = []
    now = 0.0

    def find(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["192.0.2.1"]

    lookups = Lookups(find, lambda: now)
    for _ in range(2):
        assert await lookups.addresses(1, "a.example", 443) == ["192.0.2.1"]
    assert asked == ["a.example"]
    now = 11.0
    await lookups.addresses(1, "a.example", 443)
    assert asked == ["a.example"] * 2
    lookups.close()


async def test_a_stuck_look_up_counts_until_it_comes_back() -> None:
    stuck = threading.Event()

    def find(host: str, _port: int) -> Sequence[str]:
        if host.startswith("stuck"):
            stuck.wait()
        return ["192.0.2.1"]

    lookups = Lookups(find)
    try:
        for number in range(PER_CLUSTER):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await lookups.addresses(1, f"stuck{number}.example", 443)
        with pytest.raises(OverBudget):
            await lookups.addresses(1, "a.example", 443)
        assert await lookups.addresses(2, "b.example", 443)
    finally:
        stuck.set()
    async with asyncio.timeout(60):
        while True:
            try:
                assert await lookups.addresses(1, "c.example", 443)
                break
            except OverBudget:
                await asyncio.sleep(0.01)
    lookups.close()


async def test_many_who_ask_for_a_name_wait_for_one_look_up() -> None:
    asked: list[str] = []

    def find(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["192.0.2.1"]

    lookups = Lookups(find)
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(lookups.addresses(1, "a.example", 443)) for _ in range(50)]
    assert {tuple(task.result()) for task in waiting} == {("192.0.2.1",)}
    assert len(asked) == 1
    lookups.close()


async def test_a_name_that_leads_nowhere() -> None:
    def find(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such host")

    lookups = Lookups(find)
    with pytest.raises(OSError, match="no such host"):
        await lookups.addresses(1, "a.example", 443)
    lookups.close()

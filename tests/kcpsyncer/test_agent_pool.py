import asyncio
from typing import Any

import pytest

from kcpsyncer import agent_pool
from kcpsyncer.agent import Registered
from kcpsyncer.agent_pool import AgentPool
from kcpsyncer.kubeconfig import Access
from kcpsyncer.stream.upstream import Shards
from tests.virtual_time import run

ACCESS = Access("https://east", "", "t")
EAST, NAMESAKE = Registered("root:a", "east", "1"), Registered("root:b", "east", "2")


class Recorded:
    """Instead of agents: what was started and what has ended."""

    log: list[str] = []  # noqa: RUF012 - reset by each test
    fails = False

    def __init__(self, registered: Registered, *_: Any) -> None:
        self.name = f"{registered.path}/{registered.name}"

    async def run(self) -> None:
        self.log.append(f"+{self.name}")
        try:
            if Recorded.fails:
                Recorded.fails = False
                raise RuntimeError("no")
            await asyncio.Event().wait()
        finally:
            self.log.append(f"-{self.name}")


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(agent_pool, "Agent", Recorded)
    monkeypatch.setattr(Recorded, "log", [])
    return Recorded.log


def drive(steps: Any) -> list[str]:
    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            pool = AgentPool(tasks, "holder", Shards(()))
            for step in steps:
                step(pool)
                await asyncio.sleep(5)
            pool.stop_all("root:a")
            pool.stop_all("root:b")

    run(main())
    return Recorded.log


def start(registered: Registered, access: Access = ACCESS, *resources: str) -> Any:
    return lambda pool: pool.run(registered, access, resources)


def test_namesakes_are_different_clusters() -> None:
    """D-16"""
    log = drive([start(EAST), start(NAMESAKE), lambda pool: pool.stop_all("root:a", "east")])
    assert log == ["+root:a/east", "+root:b/east", "-root:a/east", "-root:b/east"]


def test_only_a_change_starts_an_agent_anew() -> None:
    """D-12"""
    log = drive([start(EAST), start(EAST), start(EAST, Access("https://east", "", "u")), start(EAST, ACCESS, "pods")])
    assert log == ["+root:a/east", "-root:a/east"] * 3


def test_an_agent_that_fails_comes_back_and_the_others_go_on() -> None:
    Recorded.fails = True
    log = drive([start(EAST), start(NAMESAKE)])
    assert log[:4] == ["+root:a/east", "-root:a/east", "+root:a/east", "+root:b/east"]

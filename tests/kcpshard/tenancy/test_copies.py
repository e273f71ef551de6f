import asyncio
from typing import Any

import orjson
import pytest

from kcpshard.api.errors import ServiceUnavailable, Timeout
from kcpshard.rpc.contract import Result
from kcpshard.storage.contract import NotDurable
from kcpshard.tenancy.copies import Copies
from tests.contracts.workspace_tree import binding
from tests.virtual_time import run

DOCUMENT = {
    "clusterroles.rbac.authorization.k8s.io": [
        {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}
    ],
    "clusterrolebindings.rbac.authorization.k8s.io": [binding("b", "r", "ann")],
    "customresourcedefinitions.apiextensions.k8s.io": [{"metadata": {"name": "d"}}],
}
ANSWER = Result(200, orjson.dumps(DOCUMENT), etag='"1"')
SAME = Result(304, b"", etag='"1"')


class Far:
    """The ancestor's shard."""

    def __init__(self) -> None:
        self.answer: Result | Exception = ANSWER
        self.asked: list[str] = []

    async def __call__(self, path: str, tag: str, timeout_s: float) -> Result:
        self.asked.append(tag)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def usable(ask: Any) -> Any:
    while True:
        try:
            return ask()
        except NotDurable as wait:
            done = asyncio.Event()
            wait.group.when_durable(done.set)
            await done.wait()


def test_a_copy_is_kept_current_and_not_relied_on_when_it_is_old() -> None:
    async def story() -> None:
        far, changed = Far(), list[str]()
        async with asyncio.TaskGroup() as tasks:
            copies = Copies(far, tasks, changed.append, lambda place: None)
            layer = await usable(lambda: copies.layer("root"))
            assert layer.named == {("User", "ann"): 1}
            assert copies.role("root", ("", "r")) is not None and copies.role("root", ("", "x")) is None
            assert copies.definitions("root") == [{"metadata": {"name": "d"}}]
            far.answer = SAME
            seen = len(changed)
            await asyncio.sleep(2.5)
            assert far.asked[-1] == '"1"' and len(changed) == seen
            far.answer = Timeout("no answer")
            await asyncio.sleep(6)
            assert len(changed) > seen
            with pytest.raises(ServiceUnavailable):
                copies.layer("root")
            far.answer = SAME
            await asyncio.sleep(1.5)
            assert copies.layer("root") is layer
            await asyncio.sleep(70)  # nobody uses it: it is let go, and everybody told
            assert changed[-1] == "root"

    run(story())


def test_one_that_is_closed_tells_nobody() -> None:
    async def story() -> None:
        changed: list[str] = []
        async with asyncio.TaskGroup() as tasks:
            copies = Copies(Far(), tasks, changed.append, lambda place: None)
            await usable(lambda: copies.layer("root"))
            told = len(changed)
            copies.close()
        assert len(changed) == told

    run(story())


def test_an_ancestor_that_never_answered_is_unavailable() -> None:
    async def story() -> None:
        far = Far()
        far.answer = ServiceUnavailable("gone")
        async with asyncio.TaskGroup() as tasks:
            copies = Copies(far, tasks, lambda path: None, lambda place: None)
            with pytest.raises(ServiceUnavailable):
                await usable(lambda: copies.layer("root"))

    run(story())

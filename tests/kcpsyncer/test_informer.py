import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from kcpsyncer.informer import Informer, key_of
from kcpsyncer.kube_client import Failure
from tests.virtual_time import run

Object = dict[str, Any]


def obj(name: str, version: int, uid: str = "u") -> Object:
    return {"metadata": {"name": name, "namespace": "n", "resourceVersion": str(version), "uid": uid}}


def event(kind: str, name: str, version: int) -> Object:
    return {"type": kind, "object": obj(name, version)}


class Script:
    """Answers lists and watches in turn; hangs when it has no more."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.asked: list[str] = []

    async def _next(self) -> Any:
        if not self.steps:
            await asyncio.Event().wait()
        step = self.steps.pop(0)
        if isinstance(step, Failure):
            raise step
        return step

    async def list(self, path: str, query: Mapping[str, str] | None = None) -> tuple[list[Object], str]:
        self.asked.append("list")
        items, version = await self._next()
        return items, version

    async def watch(self, path: str, version: str, query: Mapping[str, str] | None = None) -> AsyncIterator[Object]:
        self.asked.append(version)
        for each in await self._next():
            if isinstance(each, Failure):
                raise each
            yield each


def follow(*steps: Any) -> tuple[list[tuple[str | None, str | None]], Informer, Script]:
    """What was told, as resourceVersions before and after."""
    told: list[tuple[str | None, str | None]] = []
    script = Script(*steps)

    def version(each: Object | None) -> str | None:
        return each["metadata"]["resourceVersion"] if each else None

    async def main() -> Informer:
        informer = Informer(script, "/x", lambda old, new: told.append((version(old), version(new))))
        task = asyncio.ensure_future(informer.run())  # noqa: TID251 - a test's own task
        await asyncio.wait([task], timeout=100)
        task.cancel()
        await asyncio.wait([task])
        return informer

    return told, run(main()), script


def test_list_then_watch() -> None:
    events = [event("ADDED", "b", 2), event("MODIFIED", "a", 3), event("BOOKMARK", "", 4), event("DELETED", "b", 5)]
    told, informer, script = follow(([obj("a", 1)], "1"), events)
    assert told == [(None, "1"), (None, "2"), ("1", "3"), ("2", None)]
    assert list(informer.objects) == [("n", "a")] and informer.get("a", "n") is not None
    assert script.asked == ["list", "1", "5"]


def test_a_break_goes_on_where_it_was() -> None:
    broken = Failure(0, "Unreachable", "gone")
    told, _, script = follow(([], "1"), [event("ADDED", "a", 2), broken], [event("MODIFIED", "a", 3)])
    assert told == [(None, "2"), ("2", "3")] and script.asked == ["list", "1", "2", "3"]


def test_what_was_missed_is_found_by_the_next_list() -> None:
    expired = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
    told, _, script = follow(
        ([obj("a", 1), obj("b", 1), obj("c", 1)], "1"), [expired], ([obj("a", 1), obj("b", 9)], "9")
    )
    assert told == [(None, "1"), (None, "1"), (None, "1"), ("1", None), ("1", "9")]
    assert script.asked == ["list", "1", "list", "9"]


def test_a_failure_is_told_and_tried_again() -> None:
    _, informer, script = follow(
        Failure(404, "NotFound", "no such type"), Failure(404, "NotFound", "no such type"), ([], "1")
    )
    assert informer.failure is None and informer.synced.is_set() and script.asked == ["list", "list", "list", "1"]
    _, informer, _ = follow(Failure(403, "Forbidden", "no"))
    assert informer.failure is not None and informer.failure.code == 403 and not informer.synced.is_set()


def test_keys() -> None:
    assert key_of({"metadata": {"name": "a"}}) == ("", "a")

import asyncio

import pytest

from kcpshard.admission.audit_annotations import gathering, note


def test_nothing_is_kept_where_nobody_gathers() -> None:
    note({"a": "1"})
    found: dict[str, str] = {}
    with gathering(found):
        note([("b", "2")])
        note({"b": "3"})
    note({"c": "4"})
    assert found == {"b": "3"}


async def test_requests_at_the_same_time_do_not_mix() -> None:
    async def one(name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        with gathering(found):
            await asyncio.sleep(0)
            note({name: "x"})
            await asyncio.sleep(0)
        return found

    async with asyncio.TaskGroup() as tasks:
        a, b = tasks.create_task(one("a")), tasks.create_task(one("b"))
    assert (a.result(), b.result()) == ({"a": "x"}, {"b": "x"})


def test_they_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kcpshard.admission.audit_annotations._MAX_BYTES", 3)
    found: dict[str, str] = {}
    with gathering(found):
        note({"a": "12", "b": "34", "c": "5"})
    assert found == {"a": "12", "c": "5"}

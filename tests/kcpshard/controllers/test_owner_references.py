from typing import Any

import pytest

from kcpshard.controllers.owner_references import Owner, Reference, Verdict, policy, state_of, verdict

SOLID, DANGLING, WAITING = Owner


def reference(uid: str, blocks: bool = False) -> Reference:
    return Reference("v1", "ConfigMap", uid, uid, blocks)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((), Verdict()),
        ((SOLID,), Verdict()),
        ((SOLID, DANGLING, WAITING), Verdict(drop=frozenset({"1", "2"}))),
        ((DANGLING,), Verdict(delete=True)),
        ((DANGLING, WAITING), Verdict(delete=True, waiting=True)),
    ],
)
def test_verdicts(states: tuple[Owner, ...], expected: Verdict) -> None:
    assert verdict((reference(str(at)), state) for at, state in enumerate(states)) == expected


def test_an_owner_waits_only_for_those_who_block() -> None:
    waiting: dict[str, Any] = {"metadata": {"deletionTimestamp": "t", "finalizers": ["foregroundDeletion"]}}
    assert state_of(reference("u"), None) is DANGLING
    assert state_of(reference("u"), waiting) is SOLID
    assert state_of(reference("u", True), waiting) is WAITING
    assert state_of(reference("u", True), {"metadata": {}}) is SOLID


@pytest.mark.parametrize(
    ("finalizers", "expected"),
    [([], "Background"), (["orphan"], "Orphan"), (["foregroundDeletion"], "Foreground")],
)
def test_a_dependents_own_wish_counts(finalizers: list[str], expected: str) -> None:
    assert policy({"metadata": {"finalizers": finalizers}}) == expected

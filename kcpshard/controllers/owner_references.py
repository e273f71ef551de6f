"""Owner references, read: what a change says about them, and what an object's owners mean for it. Decides, waits for
nothing. The words are those of kube-controller-manager's garbage collector: an owner is *solid* (there), *dangling*
(gone) or *waiting* (there, but itself waiting for this dependent to go first).
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

import orjson

from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object
from kcpshard.storage import envelope
from kcpshard.storage.owners import MARK
from kcpshard.verbs.metadata import FOREGROUND, ORPHAN

_MARKS = tuple(f'"{finalizer}"'.encode() for finalizer in (FOREGROUND, ORPHAN))


class Reference(NamedTuple):
    api_version: str
    kind: str
    name: str
    uid: str
    blocks: bool  # blockOwnerDeletion


class Owner(Enum):
    SOLID = 1
    DANGLING = 2
    WAITING = 3


class Verdict(NamedTuple):
    """`drop`: uids no longer to be named. `delete`: nobody owns it any more. `waiting`: an owner waits for it to go."""

    drop: frozenset[str] = frozenset()
    delete: bool = False
    waiting: bool = False


def references(obj: Object) -> list[Reference]:
    return [
        Reference(
            r.get("apiVersion", ""), r.get("kind", ""), r.get("name", ""), r.get("uid", ""),
            bool(r.get("blockOwnerDeletion")),
        )
        for r in obj["metadata"].get("ownerReferences") or ()
    ]  # fmt: skip


def references_of(value: bytes) -> list[Reference]:
    """Of an envelope, which is decoded only if there are any."""
    return references(orjson.loads(envelope.body(value))) if MARK in value else []


def verdict(found: Iterable[tuple[Reference, Owner]]) -> Verdict:
    by_state: dict[Owner, set[str]] = {state: set() for state in Owner}
    for reference, state in found:
        by_state[state].add(reference.uid)
    others = by_state[Owner.DANGLING] | by_state[Owner.WAITING]
    if by_state[Owner.SOLID]:
        return Verdict(drop=frozenset(others))
    return Verdict(delete=bool(others), waiting=bool(by_state[Owner.WAITING]))


def state_of(reference: Reference, owner: Object | None) -> Owner:
    """`owner` is the object that the reference names, None if there is none with that uid."""
    if owner is None:
        return Owner.DANGLING
    return Owner.WAITING if reference.blocks and waits_for_dependents(owner) else Owner.SOLID


def is_blocked_by(uid: str, dependent: Object) -> bool:
    """Whether the dependent keeps an owner that is deleted in the foreground."""
    return any(reference.uid == uid and reference.blocks for reference in references(dependent))


def waits_for_dependents(obj: Object) -> bool:
    meta = obj["metadata"]
    return bool(meta.get("deletionTimestamp")) and FOREGROUND in (meta.get("finalizers") or ())


def wants_orphans(obj: Object) -> bool:
    meta = obj["metadata"]
    return bool(meta.get("deletionTimestamp")) and ORPHAN in (meta.get("finalizers") or ())


def policy(obj: Object) -> str:
    """How a dependent without owners is deleted: as its own finalizers say, otherwise in the background."""
    finalizers = obj["metadata"].get("finalizers") or ()
    return "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"


# --- what a change asks for


def is_worth_a_look(change: Change) -> bool:
    """Whether the object itself is to be looked at: it is new here or names other owners, or it ends with a wish."""
    value, previous = change.value, change.previous
    if change.type is EventType.DELETED:
        return False
    if b'"deletionTimestamp"' in value and any(mark in value for mark in _MARKS):
        return True
    return MARK in value and (previous is None or _text(value) != _text(previous))


def released_owners(change: Change) -> list[Reference]:
    """Owners that this object may have kept from going, and does no more."""
    if change.type is EventType.DELETED:
        return [r for r in references_of(change.value) if r.blocks]
    previous = change.previous
    if previous is None or MARK not in previous or _text(change.value) == _text(previous):
        return []
    if not envelope.has_body(previous):
        return []
    left = {r.uid for r in references_of(change.value) if r.blocks}
    return [r for r in references_of(previous) if r.blocks and r.uid not in left]


def _text(value: bytes) -> bytes:
    """The bytes of the references, up to the end of the list: equal for equal references."""
    start = value.find(MARK)
    return value[start : value.find(b"}]", start)] if start >= 0 else b""

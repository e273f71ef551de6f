"""What has to be written to a fork's origin so that the fork's changes are in it, and what stands against it. Pure.

Revisions tell who has changed what, because a fork shows what it has not touched with the revision that it had:

    in the fork ≤ the fork's moment     the fork has left it alone
    in the origin ≤ that moment         the origin has left it alone since
    both have changed it                a conflict, unless they say the same now
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from kcp.restoration import is_owned, key

Object = dict[str, Any]
Place = tuple[str, str]
Uids = dict[Place, str] | None
_SERVERS = (
    "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "deletionTimestamp",
    "deletionGracePeriodSeconds",
)  # fmt: skip


class Change(NamedTuple):
    """One object that the fork has changed. `ours` is the origin's state, `theirs` the fork's; None: not there."""

    verb: str  # Create, Update, Delete
    ours: Object | None
    theirs: Object | None
    conflict: str = ""  # why it cannot simply be written; empty: nothing stands against it

    @property
    def place(self) -> Place:
        obj = self.theirs or self.ours
        assert obj is not None
        return key(obj)


def changes(
    origin: Iterable[Object], fork: Iterable[Object], at: int, began: Iterable[Object] | None = None
) -> list[Change]:
    """Of one type; `at` is the newest revision of the origin that the fork began with, `began` is what it showed then,
    if that is still known. What a controller owns is left to its controller."""
    uids = None if began is None else {key(obj): obj["metadata"]["uid"] for obj in began}
    ours = {key(obj): obj for obj in origin if not is_owned(obj)}
    theirs = {key(obj): obj for obj in fork if not is_owned(obj)}
    found = []
    for place in sorted(ours.keys() | theirs.keys()):
        change = _change(ours.get(place), theirs.get(place), at, uids)
        if change is not None:
            found.append(change)
    return found


def _change(ours: Object | None, theirs: Object | None, at: int, uids: Uids) -> Change | None:
    if theirs is None:
        assert ours is not None
        if _existed(ours, at, uids):
            changed = _revision(ours) > at
            return Change("Delete", ours, None, "deleted in the fork, changed in the origin" if changed else "")
        return None  # made in the origin since
    if _revision(theirs) <= at:
        return None  # the fork has left it alone, whatever has become of it in the origin
    if ours is None:
        existed = _existed(theirs, at, uids)
        return Change("Create", None, theirs, "changed in the fork, deleted in the origin" if existed else "")
    if meaning(ours) == meaning(theirs):
        return None
    changed = _revision(ours) > at
    text = "changed in both" if _existed(ours, at, uids) and _existed(theirs, at, uids) else "made in both"
    return Change("Update", ours, theirs, text if changed else "")


def _revision(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _existed(obj: Object, at: int, uids: Uids) -> bool:
    """Whether it was made before the fork. If only its time tells: in the very second of the fork it was not."""
    if uids is not None:
        return bool(uids.get(key(obj)) == obj["metadata"]["uid"])
    created = datetime.fromisoformat(obj["metadata"]["creationTimestamp"]).timestamp()
    return _revision(obj) <= at or created < at // 1_000_000_000


def meaning(obj: Object) -> Object:
    """Without what servers give and controllers find out."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _SERVERS}
    return {**{name: value for name, value in obj.items() if name != "status"}, "metadata": metadata}


def operation(change: Change) -> Object:
    """Of a Transaction: written only over the very state that it was decided for."""
    if change.verb == "Create":
        assert change.theirs is not None
        return {"verb": "Create", "object": _new(change.theirs)}
    assert change.ours is not None
    meta = change.ours["metadata"]
    preconditions = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    if change.verb == "Delete":
        head = {name: change.ours[name] for name in ("apiVersion", "kind")}
        place = {name: meta[name] for name in ("name", "namespace") if name in meta}
        return {"verb": "Delete", "object": {**head, "metadata": place}, "preconditions": preconditions}
    assert change.theirs is not None
    obj = _new(change.theirs)
    obj["metadata"] |= {name: meta[name] for name in ("uid", "resourceVersion", "creationTimestamp")}
    if "status" in change.ours:
        obj["status"] = change.ours["status"]
    return {"verb": "Update", "object": obj, "preconditions": preconditions}


def _new(obj: Object) -> Object:
    return meaning(obj)

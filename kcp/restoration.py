"""What has to be written so that the present becomes like the past. Pure: objects in, operations out.

Past states are written anew, with higher revisions: every client sees ordinary changes. What a server gave to an object
(uid, times, versions, owners of its fields) is not taken over; a status is its controller's to find out again.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

Object = dict[str, Any]
_SERVERS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")
_GOING = ("deletionTimestamp", "deletionGracePeriodSeconds")


class Operation(NamedTuple):
    verb: str  # create, update, delete
    object: Object  # what to write; of a delete: what is there
    uid: str = ""  # update and delete only this object


def key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def plan(then: Iterable[Object], now: Iterable[Object], living: frozenset[str] = frozenset()) -> list[Operation]:
    """`living` are uids of owners that exist: a reference to another would have the object collected as garbage.

    What a controller owns is left to its controller, which makes it again from what is restored.
    """
    past = {key(obj): obj for obj in then if not is_owned(obj)}
    present = {key(obj): obj for obj in now if not is_owned(obj)}
    found = []
    for place, obj in past.items():
        current = present.get(place)
        if current is None:
            found.append(Operation("create", _anew(obj, living)))
        elif _meaning(obj) != _meaning(current):
            found.append(Operation("update", _over(obj, current), current["metadata"]["uid"]))
    gone = [obj for place, obj in present.items() if place not in past]
    return found + [Operation("delete", obj, obj["metadata"]["uid"]) for obj in gone]


def is_owned(obj: Object) -> bool:
    return any(owner.get("controller") for owner in obj["metadata"].get("ownerReferences") or ())


def _anew(obj: Object, living: frozenset[str]) -> Object:
    metadata = {name: value for name, value in obj["metadata"].items() if name not in (*_SERVERS, *_GOING)}
    owners = [owner for owner in metadata.pop("ownerReferences", ()) if owner.get("uid") in living]
    if owners:
        metadata["ownerReferences"] = owners
    return {**_without_status(obj), "metadata": metadata}


def _over(obj: Object, current: Object) -> Object:
    """The past written over what is there now; its resourceVersion makes sure that nothing newer is lost."""
    kept = {name: value for name, value in current["metadata"].items() if name in (*_SERVERS, *_GOING)}
    kept.pop("managedFields", None)
    metadata = {name: value for name, value in obj["metadata"].items() if name not in (*_SERVERS, *_GOING)}
    written = {**_without_status(obj), "metadata": {**metadata, **kept}}
    return {**written, "status": current["status"]} if "status" in current else written


def _meaning(obj: Object) -> Object:
    metadata = {name: value for name, value in obj["metadata"].items() if name not in (*_SERVERS, *_GOING)}
    return {**_without_status(obj), "metadata": metadata}


def _without_status(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name != "status"}

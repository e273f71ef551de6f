"""Conditions of an object's status: a transition time moves only with the status. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Raw = Mapping[str, Any]


class Condition(NamedTuple):
    type: str
    status: str  # True, False or Unknown
    reason: str = ""
    message: str = ""


def status_of(conditions: Iterable[Raw] | None, kind: str) -> str:
    """ "" if there is no such condition."""
    for condition in conditions or ():
        if condition.get("type") == kind:
            return str(condition.get("status") or "")
    return ""


def with_conditions(
    present: Sequence[Raw] | None, wanted: Iterable[Condition], now: str, without: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Those present with `wanted` made true; types in `without` go. `now` is an RFC 3339 time."""
    removed = set(without)
    found = {each["type"]: dict(each) for each in present or () if each.get("type") not in removed}
    for each in wanted:
        old = found.get(each.type) or {}
        made: dict[str, Any] = {"type": each.type, "status": each.status}
        same = old.get("status") == each.status and old.get("lastTransitionTime")
        made["lastTransitionTime"] = old["lastTransitionTime"] if same else now
        if each.reason:
            made["reason"] = each.reason
        if each.message:
            made["message"] = each.message
        found[each.type] = made
    return list(found.values())

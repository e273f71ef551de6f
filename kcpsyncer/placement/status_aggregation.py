"""The status of a whole from the statuses of its parts. Pure.

Counters are summed. A condition holds for the whole as it holds for the parts: one that says that something works
(Available, Progressing, Complete, …) is True if it is True everywhere where copies are wanted, one that says that
something failed if it is True anywhere. observedGeneration is the root's only if every part is up to date; otherwise it
stays what it was, so that clients that wait for it go on waiting.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kcpsyncer.conditions import Condition, with_conditions

Object = dict[str, Any]
Raw = Mapping[str, Any]

COUNTERS: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas",
                   "terminatingReplicas"),
    "ReplicaSet": ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas"),
    "StatefulSet": ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
    "Job": ("active", "ready", "succeeded", "failed", "terminating"),
    "DaemonSet": ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
                  "updatedNumberScheduled", "numberAvailable", "numberUnavailable"),
}  # fmt: skip
_BAD = frozenset(("ReplicaFailure", "Failed", "FailureTarget", "Suspended"))
_NEVER_LEFT_OUT = frozenset(("replicas",))  # the others are omitted when 0, as Kubernetes does


def aggregated(root: Raw, parts: Mapping[str, Raw], now: str) -> Object:
    """The root's status. `parts`: leafs by cluster, only those that have or should have copies; `now`: RFC 3339."""
    before: Raw = root.get("status") or {}
    status: Object = {}
    kind = root["kind"]
    for counter in COUNTERS.get(kind, ()):
        total = sum(int((leaf.get("status") or {}).get(counter) or 0) for leaf in parts.values())
        if total or (counter in _NEVER_LEFT_OUT and kind != "Job"):
            status[counter] = total
    if generation := _observed(root, before, parts.values()):
        status["observedGeneration"] = generation
    conditions = with_conditions(before.get("conditions"), _conditions(parts), now, _gone(before, parts))
    if conditions:
        status["conditions"] = conditions
    _add_times(status, kind, parts.values())
    return status


def is_up_to_date(leaf: Raw) -> bool:
    """Whether its status speaks of its spec."""
    generation = leaf["metadata"].get("generation")
    return not generation or (leaf.get("status") or {}).get("observedGeneration", 0) >= generation


def _observed(root: Raw, before: Raw, leafs: Iterable[Raw]) -> int:
    generation = int(root["metadata"].get("generation") or 0)
    found = list(leafs)
    if found and all(is_up_to_date(leaf) for leaf in found):
        return generation
    return int(before.get("observedGeneration") or 0)


def _types(parts: Mapping[str, Raw]) -> list[str]:
    found: dict[str, None] = {}
    for name in sorted(parts):
        for condition in (parts[name].get("status") or {}).get("conditions") or ():
            found[condition["type"]] = None
    return list(found)


def _gone(before: Raw, parts: Mapping[str, Raw]) -> list[str]:
    """Conditions that came from parts and that none has any more."""
    present = set(_types(parts))
    return [c["type"] for c in before.get("conditions") or () if c["type"] not in present and c["type"] in _MERGED]


_MERGED = _BAD | {"Available", "Progressing", "Complete", "SuccessCriteriaMet"}


def _conditions(parts: Mapping[str, Raw]) -> list[Condition]:
    return [_merged(kind, parts) for kind in _types(parts)]


def _merged(kind: str, parts: Mapping[str, Raw]) -> Condition:
    """The worst decides, and says where it is."""
    found = {name: _condition(parts[name], kind) for name in sorted(parts)}
    order: Sequence[str] = ("True", "Unknown", "False") if kind in _BAD else ("False", "Unknown", "True")
    for status in order:
        having = [name for name, c in found.items() if (c or {}).get("status", _absent(kind)) == status]
        if having:
            first = next((each for name in having if (each := found[name]) is not None), {})
            where = "" if status == order[-1] else f"{', '.join(having)}: "
            message = first.get("message") or ("it says nothing of this yet" if where else "")
            return Condition(kind, status, first.get("reason") or "NotReported", f"{where}{message}")
    raise AssertionError(kind)  # every status is one of the three


def _absent(kind: str) -> str:
    """What a part means that does not have the condition: nothing failed there, and nothing is known to work."""
    return "False" if kind in _BAD else "Unknown"


def _condition(leaf: Raw, kind: str) -> Raw | None:
    for condition in (leaf.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind:
            return condition  # type: ignore[no-any-return]
    return None


def _add_times(status: Object, kind: str, leafs: Iterable[Raw]) -> None:
    """Of a Job: it began with its first part and is complete with its last one."""
    if kind != "Job":
        return
    statuses: list[Raw] = [leaf.get("status") or {} for leaf in leafs]
    if started := [each["startTime"] for each in statuses if each.get("startTime")]:
        status["startTime"] = min(started)
    if statuses and all(each.get("completionTime") for each in statuses):
        status["completionTime"] = max(each["completionTime"] for each in statuses)

"""Conditions of a pod as the API server itself sets them. Pure."""

from kcpshard.api.objects import Object


def set_condition(status: Object, condition: Object, now: str) -> None:
    """Add the condition, or replace the one of its type; the time of the last transition is kept where the status is
    the same."""
    found = list(status.get("conditions") or ())
    for place, old in enumerate(found):
        if old.get("type") == condition["type"]:
            same = old.get("status") == condition["status"]
            transition = old.get("lastTransitionTime") if same else now
            found[place] = _with_times(condition, transition)
            break
    else:
        found.append(_with_times(condition, now))
    status["conditions"] = found


def _with_times(condition: Object, transition: str | None) -> Object:
    kept = {key: value for key, value in condition.items() if key not in ("type", "status")}
    times = {"lastProbeTime": None, "lastTransitionTime": transition}
    return {"type": condition["type"], "status": condition["status"], **times, **kept}

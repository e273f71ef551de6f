"""Which names a definition may have: its status.acceptedNames and the conditions that follow from them.

Decides as apiextensions' naming and establishing controllers do, in their words, with one difference: both decide at
once, so that a definition is Established with the write that accepts its names. Pure.
"""

from collections.abc import Container, Iterable
from typing import Any

from kcpshard.definitions.contract import Object
from kcpshard.definitions.crd_documents import ESTABLISHED, NAMES_ACCEPTED, TERMINATING, Names, names_of

_APPROVED = "api-approved.kubernetes.io"
_APPROVAL = "KubernetesAPIApprovalPolicyConformant"


class Claims:
    """What the definitions of one group are called, followed as they come and go: name → how many use it."""

    __slots__ = ("kinds", "resources")

    def __init__(self) -> None:
        self.resources: dict[str, int] = {}
        self.kinds: dict[str, int] = {}

    def add(self, names: Names, times: int = 1) -> None:
        for counts, used in ((self.resources, _resource_names(names)), (self.kinds, _kind_names(names))):
            for name in used:
                left = counts.get(name, 0) + times
                if left:
                    counts[name] = left
                else:
                    del counts[name]


class Taken:
    """What the other definitions of the group, and its built-in types, are called. Costs the same however many."""

    def __init__(self, others: Iterable[Names], claims: Claims | None = None, own: Names | None = None) -> None:
        """`claims` are the group's, among them those of the definition itself, which are `own`."""
        resources, kinds = set[str](), set[str]()
        for names in others:
            resources |= _resource_names(names)
            kinds |= _kind_names(names)
        known = claims or Claims()
        self.resources = _Others(resources, known.resources, _resource_names(own) if own else set())
        self.kinds = _Others(kinds, known.kinds, _kind_names(own) if own else set())


class _Others:
    def __init__(self, fixed: set[str], counts: dict[str, int], own: set[str]) -> None:
        self._fixed, self._counts, self._own = fixed, counts, own

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._fixed or self._counts.get(name, 0) > (name in self._own))


def _resource_names(names: Names) -> set[str]:
    return {names.plural, names.singular, *names.short_names} - {""}


def _kind_names(names: Names) -> set[str]:
    return {names.kind, names.list_kind} - {""}


def decided(obj: Object, taken: Taken, now: str) -> Object:
    """The status that the definition should have; an equal one if nothing changes. `now` stamps what does."""
    status = dict(obj.get("status") or {})
    accepted, faults = _accepted(obj["spec"]["names"], status.get("acceptedNames") or {}, taken)
    conditions = [dict(c) for c in status.get("conditions") or ()]
    if faults:
        reason, message = faults[-1]
        set_condition(conditions, NAMES_ACCEPTED, "False", reason, message, now)
    else:
        set_condition(conditions, NAMES_ACCEPTED, "True", "NoConflicts", "no conflicts found", now)
    if not any(c["type"] == ESTABLISHED and c["status"] == "True" for c in conditions):
        if faults:
            set_condition(conditions, ESTABLISHED, "False", "NotAccepted", "not all names are accepted", now)
        else:
            text = "the initial names have been accepted"
            set_condition(conditions, ESTABLISHED, "True", "InitialNamesAccepted", text, now)
    _judge_approval(obj, conditions, now)
    return {**status, "acceptedNames": accepted, "conditions": conditions}


def _accepted(wanted: Object, had: Object, taken: Taken) -> tuple[Object, list[tuple[str, str]]]:
    """Each name that is free replaces the one accepted before; a name that is taken is a fault."""
    found, faults = dict(had), list[tuple[str, str]]()

    def judge(member: str, value: str, others: Container[str], reason: str) -> None:
        if value and value != had.get(member) and value in others:
            faults.append((reason, f'"{value}" is already in use'))
        else:
            found[member] = value

    judge("plural", wanted["plural"], taken.resources, "PluralConflict")
    judge("singular", wanted.get("singular") or "", taken.resources, "SingularConflict")
    known = had.get("shortNames") or ()
    clashes = [n for n in wanted.get("shortNames") or () if n in taken.resources and n not in known]
    if clashes:
        text = ", ".join(f'"{name}" is already in use' for name in clashes)
        faults.append(("ShortNamesConflict", f"[{text}]" if len(clashes) > 1 else text))
    else:
        found["shortNames"] = wanted.get("shortNames")
    judge("kind", wanted["kind"], taken.kinds, "KindConflict")
    judge("listKind", wanted.get("listKind") or "", taken.kinds, "ListKindConflict")
    found["categories"] = wanted.get("categories")
    return _without_empty(found), faults


def _without_empty(names: Object) -> Object:
    """kind and plural are always shown."""
    return {"kind": "", "plural": ""} | {k: v for k, v in names.items() if v}


def _judge_approval(obj: Object, conditions: list[Object], now: str) -> None:
    """Groups of the Kubernetes community: how the definition says that it may use one."""
    group = obj["spec"]["group"]
    if group not in ("k8s.io", "kubernetes.io") and not group.endswith((".k8s.io", ".kubernetes.io")):
        return
    given = (obj["metadata"].get("annotations") or {}).get(_APPROVED, "")
    if not given:
        text = f'protected groups must have approval annotation "{_APPROVED}", see https://github.com/kubernetes/enhancements/pull/1111'
        set_condition(conditions, _APPROVAL, "False", "MissingAnnotation", text, now)
    elif given.startswith("unapproved"):
        set_condition(conditions, _APPROVAL, "False", "UnapprovedAnnotation", f'not approved: "{given}"', now)
    else:
        set_condition(conditions, _APPROVAL, "True", "ApprovedAnnotation", f"approved in {given}", now)


def terminating(obj: Object, status: str, reason: str, message: str, now: str) -> Object:
    """The object's status with the condition Terminating."""
    conditions = [dict(c) for c in (obj.get("status") or {}).get("conditions") or ()]
    set_condition(conditions, TERMINATING, status, reason, message, now)
    return {**(obj.get("status") or {}), "conditions": conditions}


def set_condition(conditions: list[Object], type_: str, status: str, reason: str, message: str, now: str) -> None:
    """Its transition time is when the status last changed."""
    for found in conditions:
        if found["type"] == type_:
            if found["status"] != status:
                found["lastTransitionTime"] = now
            found.update(status=status, reason=reason, message=message)
            return
    new: dict[str, Any] = {"type": type_, "status": status, "lastTransitionTime": now}
    conditions.append({**new, "reason": reason, "message": message})


def claimed(obj: Object) -> Names:
    """What the definition keeps others from using."""
    return names_of((obj.get("status") or {}).get("acceptedNames") or {})

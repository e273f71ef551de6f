"""The conditions under which an authorisation webhook is asked: CEL over the review it would get (`request`). Pure.

As kube-apiserver has them: one that is false ends the matter, whatever others would say; without one that is false, one
that cannot be evaluated is a fault, and the webhook's failurePolicy decides.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.api import loop_time
from kcpshard.cel.checking import CompileFault, check
from kcpshard.cel.constants import constant_fault
from kcpshard.cel.evaluation import CostExceeded, Program
from kcpshard.cel.types import BOOL, STRING, Type, exact_name, list_of, map_of, struct
from kcpshard.cel.values import EvalFault

MOST = 64
_STRINGS = list_of(STRING)


def _of_strings(*names: str) -> dict[str, Type]:
    return dict.fromkeys(names, STRING)


_REQUIREMENT = struct({**_of_strings("key", "operator"), "values": _STRINGS}, 0, "kubernetes.SelectorRequirement")
_SELECTOR = {"rawSelector": STRING, "requirements": list_of(_REQUIREMENT)}
_RESOURCE = struct(
    {
        **_of_strings("namespace", "verb", "group", "version", "resource", "subresource", "name"),
        "fieldSelector": struct(_SELECTOR, 0, "kubernetes.FieldSelectorAttributes"),
        "labelSelector": struct(_SELECTOR, 0, "kubernetes.LabelSelectorAttributes"),
    },
    0,
    "kubernetes.ResourceAttributes",
)
_PATH = struct(_of_strings("path", "verb"), 0, "kubernetes.NonResourceAttributes")
REQUEST = struct(
    {
        "resourceAttributes": _RESOURCE, "nonResourceAttributes": _PATH, **_of_strings("user", "uid"),
        "groups": _STRINGS, "extra": map_of(STRING, _STRINGS),
    },
    0,
    "kubernetes.SubjectAccessReviewSpec",
)  # fmt: skip
_FAULTS = (EvalFault, CostExceeded)
_MEMBERS = ("namespace", "verb", "group", "version", "resource", "subresource", "name")


class MatchFault(Exception):
    """At least one condition could not be evaluated, and none was false."""


class MatchCondition(NamedTuple):
    text: str
    program: Program


def compile_condition(text: str) -> MatchCondition:
    """Raises CompileFault."""
    if not text.strip():
        raise CompileFault("must not be empty")
    try:
        checked = check(text, {"request": REQUEST})
    except CompileFault as fault:
        raise CompileFault(f"compilation failed: {fault}") from None
    if exact_name(checked.root.type) != exact_name(BOOL):
        raise CompileFault(f"must evaluate to bool but got {exact_name(checked.root.type)}")
    if unfit := constant_fault(checked):
        raise CompileFault(f"program instantiation failed: {unfit}")
    return MatchCondition(text, Program(checked, ("request",)))


def are_met(conditions: Sequence[MatchCondition], spec: Mapping[str, Any]) -> bool:
    """`spec` is a review's. Raises MatchFault."""
    if not conditions:
        return True
    seen, faults = _seen(spec), []
    for condition in conditions:
        try:
            if not condition.program.evaluate(seen)[0]:
                return False
        except loop_time.TooLong:
            continue  # more than may be done here at once: rather ask the webhook once too often
        except _FAULTS as fault:
            reason = str(fault) or "it takes too long"
            faults.append(f"cel evaluation error: expression '{condition.text}' resulted in error: {reason}")
    if faults:
        raise MatchFault(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    return True


def _seen(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the strings that JSON leaves out where they are empty."""
    found: dict[str, Any] = {
        "user": spec.get("user", ""),
        "uid": spec.get("uid", ""),
        "groups": spec.get("groups", []),
        "extra": spec.get("extra", {}),
    }
    if (attributes := spec.get("resourceAttributes")) is not None:
        given = {member: attributes.get(member, "") for member in _MEMBERS}
        selectors = {name: attributes[name] for name in ("fieldSelector", "labelSelector") if name in attributes}
        found["resourceAttributes"] = {**given, **selectors}
    if (attributes := spec.get("nonResourceAttributes")) is not None:
        found["nonResourceAttributes"] = attributes
    return found

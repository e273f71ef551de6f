"""What a terminating namespace's status says of how far its deletion is. Decides, in the words of
kube-controller-manager (`pkg/controller/namespace/deletion/status_condition_utils.go` and the deleter's messages)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kcpshard.api.objects import Object

Condition = dict[str, Any]


class Remaining(NamedTuple):
    """What is left after an attempt: objects by type (`pods.`, `widgets.example.com`), finalizers, and refusals."""

    objects: Mapping[str, int]
    finalizers: Mapping[str, int]
    refusals: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.objects and not self.refusals


def remaining(found: Iterable[tuple[str, Iterable[str]]], refusals: Iterable[str]) -> Remaining:
    """From each object's type and finalizers."""
    objects: Counter[str] = Counter()
    finalizers: Counter[str] = Counter()
    for type_, its_finalizers in found:
        objects[type_] += 1
        finalizers.update(its_finalizers)
    return Remaining(objects, finalizers, tuple(sorted(refusals)))


def conditions(old: Iterable[Condition], state: Remaining, now: str) -> list[Condition]:
    """The five conditions, and whatever others there were. A time changes only with the status beside it."""
    wanted = {condition["type"]: condition for condition in _wanted(state)}
    found = []
    for condition in old:
        new = wanted.pop(condition.get("type", ""), None)
        if new is None:
            found.append(condition)
            continue
        since = condition.get("lastTransitionTime") if condition.get("status") == new["status"] else None
        found.append({**new, "lastTransitionTime": since or now})
    return found + [{**condition, "lastTransitionTime": now} for condition in wanted.values()]


def with_conditions(namespace: Object, state: Remaining, now: str) -> Object:
    status = namespace.get("status") or {}
    return {**namespace, "status": {**status, "conditions": conditions(status.get("conditions") or (), state, now)}}


def _wanted(state: Remaining) -> list[Condition]:
    return [
        _condition("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _content_failure(state),
        _content_remaining(state),
        _finalizers_remaining(state),
    ]


def _condition(type_: str, reason: str, message: str, status: str = "False") -> Condition:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def _content_failure(state: Remaining) -> Condition:
    type_ = "NamespaceDeletionContentFailure"
    if state.refusals:
        listed = ", ".join(state.refusals)
        return _condition(type_, "ContentDeletionFailed", f"Failed to delete all resource types, {listed}", "True")
    text = "All content successfully deleted, may be waiting on finalization"
    return _condition(type_, "ContentDeleted", text)


def _content_remaining(state: Remaining) -> Condition:
    type_ = "NamespaceContentRemaining"
    if not state.objects:
        return _condition(type_, "ContentRemoved", "All content successfully removed")
    listed = ", ".join(f"{name} has {number} resource instances" for name, number in sorted(state.objects.items()))
    return _condition(type_, "SomeResourcesRemain", f"Some resources are remaining: {listed}", "True")


def _finalizers_remaining(state: Remaining) -> Condition:
    type_ = "NamespaceFinalizersRemaining"
    if not state.finalizers:
        return _condition(type_, "ContentHasNoFinalizers", "All content-preserving finalizers finished")
    listed = ", ".join(f"{name} in {number} resource instances" for name, number in sorted(state.finalizers.items()))
    text = f"Some content in the namespace has finalizers remaining: {listed}"
    return _condition(type_, "SomeFinalizersRemain", text, "True")

"""What is different in one cluster: JSON patches (RFC 6902) of leafs, chosen by the cluster's labels. Pure.

An override may change anything but what says whose the object is and where it belongs.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from kcpshard.api.patches import Operation, PatchFault, apply_json_patch
from kcpshard.api.selectors import LabelSelector
from kcpsyncer.placement.leafs import CLUSTER_LABEL, OWNER_LABEL, Object

_KEPT_METADATA = ("name", "namespace", "ownerReferences")
_KEPT_LABELS = (CLUSTER_LABEL, OWNER_LABEL)


@dataclass(frozen=True, slots=True)
class Override:
    selector: LabelSelector
    operations: tuple[Operation, ...]


class OverrideFault(Exception):
    """An override cannot be applied to this leaf; the text is for people."""


def overridden(leaf: Object, cluster_labels: Mapping[str, str], overrides: Iterable[Override]) -> Object:
    """A new object; the overrides in their order. Raises OverrideFault."""
    found: Any = leaf
    for number, override in enumerate(overrides):
        if not override.selector.matches(cluster_labels):
            continue
        try:
            found = apply_json_patch(deepcopy(found), list(override.operations))
        except PatchFault as fault:
            raise OverrideFault(f"override {number} cannot be applied: {fault}") from None
        if not _is_same(leaf, found):
            raise OverrideFault(f"override {number} changes what the object is or whose it is")
    return found  # type: ignore[no-any-return]


def _is_same(leaf: Object, found: Any) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        return False
    before, after = leaf["metadata"], found["metadata"]
    labels = after.get("labels")
    return (
        found.get("apiVersion") == leaf["apiVersion"]
        and found.get("kind") == leaf["kind"]
        and all(after.get(name) == before.get(name) for name in _KEPT_METADATA)
        and isinstance(labels, dict)
        and all(labels.get(name) == before["labels"].get(name) for name in _KEPT_LABELS)
    )

"""Which leafs each root has, kept true by changes: looking through all objects for each root is quadratic. Pure."""

from collections.abc import Mapping
from typing import Any

from kcpsyncer.placement.leafs import is_leaf

Object = dict[str, Any]


class LeafIndex:
    def __init__(self) -> None:
        self._by_root: dict[str, dict[str, Object]] = {}  # uid of the root → name → leaf

    def change(self, old: Object | None, new: Object | None) -> None:
        if old is not None:
            for uid in _owners(old):
                found = self._by_root.get(uid, {})
                found.pop(_place(old), None)
                if not found:
                    self._by_root.pop(uid, None)
        if new is not None:
            for uid in _owners(new):
                self._by_root.setdefault(uid, {})[_place(new)] = new

    def of(self, root: Mapping[str, Any]) -> list[Object]:
        return list(self._by_root.get(root["metadata"].get("uid") or "", {}).values())


def _place(leaf: Mapping[str, Any]) -> str:
    return f"{leaf['metadata'].get('namespace') or ''}/{leaf['metadata']['name']}"


def _owners(obj: Mapping[str, Any]) -> list[str]:
    if not is_leaf(obj):
        return []
    return [str(each.get("uid")) for each in obj["metadata"].get("ownerReferences") or ()]

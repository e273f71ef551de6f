from typing import Any

from kcpsyncer.placement.leaf_index import LeafIndex
from kcpsyncer.placement.leafs import OWNER_LABEL


def leaf(name: str, owner: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {OWNER_LABEL: "web"}, "ownerReferences": [{"uid": owner}], **more}}


ROOT = {"metadata": {"uid": "u"}}


def test_changes_are_followed() -> None:
    index = LeafIndex()
    first, second = leaf("web--a", "u"), leaf("web--b", "u")
    for each in (first, second, leaf("other--a", "v")):
        index.change(None, each)
    assert index.of(ROOT) == [first, second]
    newer = leaf("web--a", "u", generation=2)
    index.change(first, newer)
    index.change(second, None)
    assert index.of(ROOT) == [newer]
    index.change(newer, leaf("web--a", "v"))  # somebody else's now
    assert index.of(ROOT) == []
    assert [each["metadata"]["name"] for each in index.of({"metadata": {"uid": "v"}})] == ["other--a", "web--a"]


def test_only_leafs_count() -> None:
    index = LeafIndex()
    index.change(None, {"metadata": {"name": "set", "ownerReferences": [{"uid": "u"}]}})
    assert index.of(ROOT) == []

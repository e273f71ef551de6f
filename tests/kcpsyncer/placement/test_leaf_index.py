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


def test_namesakes_have_leafs_of_their_own() -> None:
    """Equal names in two namespaces, and a root that was made anew under the name of a deleted one."""
    index = LeafIndex()
    here, there = leaf("web--a", "u", namespace="here"), leaf("web--a", "v", namespace="there")
    for each in (here, there):
        index.change(None, each)
    assert index.of(ROOT) == [here] and index.of({"metadata": {"uid": "v"}}) == [there]
    assert index.of({"metadata": {"uid": "new"}}) == []

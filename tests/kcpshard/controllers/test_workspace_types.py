from kcpshard.controllers.workspace_types import views
from tests.contracts.workspace_tree import TYPES, Tree, tree

__all__ = ["tree"]


def test_views() -> None:
    found = views({"metadata": {"name": "t"}, "spec": {"initializer": True, "terminator": True}}, "https://x", "root:a")
    assert found == [
        {"url": "https://x/services/initializingworkspaces/root:a:t", "type": "initializing"},
        {"url": "https://x/services/terminatingworkspaces/root:a:t", "type": "terminating"},
    ]


async def test_a_type_says_where_its_views_are_as_long_as_it_has_any(tree: Tree) -> None:
    await tree.root.create(TYPES, tree.type("t", initializer=True))
    await tree.settle()
    assert len((await tree.root.get(f"{TYPES}/t"))["status"]["virtualWorkspaces"]) == 1
    await tree.root.patch(f"{TYPES}/t", {"spec": {"initializer": None}})
    await tree.settle()
    assert (await tree.root.get(f"{TYPES}/t"))["status"]["virtualWorkspaces"] == []

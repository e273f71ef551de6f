from kcpshard.tenancy.shown_objects import tenancy_objects
from tests.contracts.workspace_tree import LOGICAL_CLUSTER, TYPES, Tree, tree

__all__ = ["tree"]


def test_which_objects() -> None:
    assert {source.group_resource for source, _ in tenancy_objects(lambda: "https://x")} == {
        "workspacetypes.tenancy.kcp.io", "logicalclusters.core.kcp.io",
    }  # fmt: skip


async def test_what_is_shown_where(tree: Tree) -> None:
    assert (await tree.root.do("GET", TYPES)).names == []  # not born yet
    await tree.root.create("/api/v1/namespaces", {"metadata": {"name": "a"}})
    assert (await tree.root.do("GET", TYPES)).names == ["home", "organization", "root", "team", "universal"]
    own = await tree.root.get(LOGICAL_CLUSTER)
    assert own["metadata"]["annotations"] == {"internal.tenancy.kcp.io/type": "root:root", "kcp.io/path": "root"}
    assert own["status"]["URL"] == "https://localhost/clusters/root"
    tenant = tree.at("tenant")
    await tenant.create("/api/v1/namespaces", {"metadata": {"name": "a"}})
    assert (await tenant.do("GET", TYPES)).names == []
    other = await tenant.get(LOGICAL_CLUSTER)
    assert other["metadata"]["annotations"]["internal.tenancy.kcp.io/type"] == "root:universal"


async def test_a_shown_type_may_be_changed_and_removed(tree: Tree) -> None:
    await tree.root.create("/api/v1/namespaces", {"metadata": {"name": "a"}})
    place = f"{TYPES}/universal"
    found = await tree.root.patch(place, {"spec": {"additionalWorkspaceLabels": {"a": "b"}}})
    assert found["spec"]["additionalWorkspaceLabels"] == {"a": "b"}
    assert (await tree.root.do("DELETE", place)).code == 200
    assert (await tree.root.do("GET", place)).code == 404

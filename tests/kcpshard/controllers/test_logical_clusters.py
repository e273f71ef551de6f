"""Ends of logical clusters with much in them; the phases are in test_workspaces."""

from kcpshard.api.events import Commit, EventType
from tests.contracts.workspace_tree import WORKSPACES, Tree, tree, workspace

__all__ = ["tree"]


async def test_watchers_are_told_of_every_object(tree: Tree) -> None:
    await tree.root.create(WORKSPACES, workspace("a"))
    await tree.settle()
    inside = tree.at("root:a")
    await inside.create("/api/v1/namespaces", {"metadata": {"name": "n"}})
    for number in range(300):
        body = {"metadata": {"name": f"c{number}"}}
        await inside.create("/api/v1/namespaces/n/configmaps", body)
    cluster = tree.shard.store.pending_cluster("root:a")
    assert cluster is not None
    deleted: list[tuple[str, str]] = []

    def see(commits: list[Commit]) -> None:
        for commit in commits:
            if commit.cluster_id == cluster.id:
                deleted.extend((c.group_resource, c.name) for c in commit.changes if c.type is EventType.DELETED)

    held = cluster.objects
    tree.shard.store.on_commit(see)  # type: ignore[arg-type]
    await tree.root.do("DELETE", f"{WORKSPACES}/a")
    await tree.settle()
    assert tree.shard.store.pending_cluster("root:a") is None
    assert len(deleted) == held and deleted[-1] == ("logicalclusters.core.kcp.io", "cluster")
    assert deleted.index(("namespaces", "n")) > deleted.index(("configmaps", "c299"))


async def test_rights_stay_until_everything_else_has_gone(tree: Tree) -> None:
    await tree.root.create(WORKSPACES, workspace("a"))
    await tree.settle()
    await tree.allow("root:a", "ann", "", "configmaps", "get", "patch")
    inside = tree.at("root:a")
    body = {"metadata": {"name": "c", "finalizers": ["example.com/x"]}}
    await inside.create("/api/v1/namespaces/default/configmaps", body)
    await tree.root.do("DELETE", f"{WORKSPACES}/a")
    await tree.settle()
    assert (await inside.do("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/ann-configmaps")).code == 200
    assert (await inside.do("GET", "/api/v1/namespaces/default")).code == 200
    await inside.patch("/api/v1/namespaces/default/configmaps/c", {"metadata": {"finalizers": None}})
    await tree.settle()
    assert tree.shard.store.pending_cluster("root:a") is None

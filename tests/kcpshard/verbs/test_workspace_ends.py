"""Who lets a Workspace go, and when."""

from kcpshard.api.requests import Identity
from kcpshard.storage.durability import durable
from kcpshard.tenancy.names import FINALIZER
from kcpshard.verbs.workspace_ends import release
from tests.contracts.workspace_tree import WORKSPACES, Tree, tree, workspace

__all__ = ["tree"]


async def test_only_the_system_lets_one_go_and_only_when_it_is_deleted(tree: Tree) -> None:
    held = workspace("a", "universal")
    held["metadata"]["finalizers"] = ["example.com/mine"]
    made = await tree.root.create(WORKSPACES, held)
    place, body = f"{WORKSPACES}/a/logicalcluster", {"uid": made["metadata"]["uid"]}
    administrator = tree.as_administrator_of("root")
    assert (await administrator.do("DELETE", place, body)).code == 403
    nobody = tree.as_user("root", Identity("ann", "", ("system:authenticated",)))
    assert (await nobody.do("DELETE", place, body)).code == 403
    assert (await tree.root.do("DELETE", place, body)).code == 404, "nobody has deleted it"
    await tree.root.do("DELETE", f"{WORKSPACES}/a")
    await tree.settle()
    found = await tree.root.get(f"{WORKSPACES}/a")
    assert found["metadata"]["finalizers"] == ["example.com/mine"], "its logical cluster has ended"
    assert (await tree.root.do("DELETE", place, {"uid": "another"})).code == 404
    assert (await tree.root.do("DELETE", place, body)).code == 200


async def test_the_last_finalizer_takes_it_along(tree: Tree) -> None:
    made = await tree.root.create(WORKSPACES, workspace("a", "universal"))
    tree.stop()
    await tree.root.do("DELETE", f"{WORKSPACES}/a")
    cluster = tree.shard.store.pending_cluster("root")
    assert cluster is not None and made["metadata"]["finalizers"] == [FINALIZER]
    group = release(tree.shard, cluster, "a", made["metadata"]["uid"])
    assert group is not None
    await durable(group)
    assert (await tree.root.do("GET", f"{WORKSPACES}/a")).code == 404

"""Logical clusters that end at once, and those that do not."""

from kcpshard.api.events import Commit, EventType
from kcpshard.controllers.cluster_ends import MOST, ClusterEnds, batched
from tests.contracts.workspace_tree import LOGICAL_CLUSTER, WORKSPACES, Tree, tree, workspace

__all__ = ["tree"]


async def test_a_tree_goes_with_all_that_is_in_it(tree: Tree) -> None:
    await tree.root.create(WORKSPACES, workspace("a", "universal"))
    for number in range(20):
        await tree.at("root:a").create(WORKSPACES, workspace(f"w{number}", "universal"))
    await tree.at("root:a:w1").create(WORKSPACES, workspace("deep", "universal"))
    await tree.settle()
    await tree.root.do("DELETE", f"{WORKSPACES}/a")
    await tree.settle()
    assert (await tree.root.do("GET", f"{WORKSPACES}/a")).code == 404
    paths = ["root:a", "root:a:w1:deep", *(f"root:a:w{number}" for number in range(20))]
    assert [path for path in paths if tree.shard.store.pending_cluster(path) is not None] == []


async def test_one_that_holds_little_goes_in_one_commit(tree: Tree) -> None:
    await tree.root.create(WORKSPACES, workspace("a", "universal"))
    await tree.settle()
    cluster = tree.shard.store.pending_cluster("root:a")
    assert cluster is not None
    held, seen = cluster.objects, list[Commit]()
    tree.shard.store.on_commit(lambda commits: seen.extend(c for c in commits if c.cluster_id == cluster.id))
    await tree.root.do("DELETE", f"{WORKSPACES}/a")
    await tree.settle()
    assert [len(commit.changes) for commit in seen] == [held]
    assert {change.type for change in seen[0].changes} == {EventType.DELETED}


async def test_who_is_waited_for_is_waited_for(tree: Tree) -> None:
    await tree.root.create(WORKSPACES, workspace("a", "universal"))
    held = workspace("held", "universal")
    held["metadata"]["finalizers"] = ["example.com/mine"]
    await tree.at("root:a").create(WORKSPACES, held)
    await tree.at("root:a").create(WORKSPACES, workspace("full", "universal"))
    await tree.settle()
    config_map = {"metadata": {"name": "c", "finalizers": ["example.com/x"]}}
    await tree.at("root:a:full").create("/api/v1/namespaces/default/configmaps", config_map)
    await tree.root.do("DELETE", f"{WORKSPACES}/a")
    await tree.settle()
    inside = tree.at("root:a")
    for name in ("held", "full"):
        assert (await inside.get(f"{WORKSPACES}/{name}"))["metadata"]["deletionTimestamp"]
    assert (await inside.get(LOGICAL_CLUSTER))["status"]["conditions"][0]["reason"] == "SomeResourcesRemain"
    await inside.patch(f"{WORKSPACES}/held", {"metadata": {"finalizers": None}})
    full = tree.at("root:a:full")
    await full.patch("/api/v1/namespaces/default/configmaps/c", {"metadata": {"finalizers": None}})
    await tree.settle()
    assert (await tree.root.do("GET", f"{WORKSPACES}/a")).code == 404


async def test_neither_much_nor_types_go_at_once(tree: Tree) -> None:
    await tree.root.create(WORKSPACES, workspace("a", "universal"))
    await tree.settle()
    inside = tree.at("root:a")
    found = await inside.get(LOGICAL_CLUSTER)
    cluster = tree.shard.store.pending_cluster("root:a")
    assert cluster is not None
    for number in range(MOST):
        await inside.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": f"c{number}"}})
    assert ClusterEnds(tree.shard).at_once(cluster, found) is None
    waiting = {**found, "status": {**found["status"], "terminators": ["root:x"]}}
    assert ClusterEnds(tree.shard).at_once(cluster, waiting) is None


def test_batches_hold_everything_once() -> None:
    assert [list(each) for each in batched([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]

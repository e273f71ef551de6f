"""Who may what in a workspace: entering it, and what its ancestors grant."""

from kcpshard.api.requests import Identity
from tests.contracts.workspace_tree import RBAC, TYPES, WORKSPACES, Tree, binding, tree, workspace

__all__ = ["tree"]

ANN = Identity("ann", "", ("system:authenticated",))
MAPS = "/api/v1/namespaces/default/configmaps"


async def heir(tree: Tree, inherit: list[str]) -> None:
    await tree.root.create(TYPES, tree.type("t", inherit=inherit))
    await tree.root.create(WORKSPACES, workspace("a", "t"))
    await tree.settle()


async def test_entering_needs_access(tree: Tree) -> None:
    await heir(tree, [])
    await tree.allow("root:a", "ann", "", "configmaps", "list")
    ann = tree.as_user("root:a", ANN)
    assert (await ann.do("GET", MAPS)).code == 403
    await tree.at("root:a").create(
        f"{RBAC}/clusterrolebindings", binding("enter", "system:kcp:workspace:access", "ann")
    )
    assert (await ann.do("GET", MAPS)).code == 200
    assert (await tree.at("root:a").do("DELETE", f"{RBAC}/clusterrolebindings/enter")).code == 200
    assert (await ann.do("GET", MAPS)).code == 403


async def test_a_logical_cluster_without_a_parent_is_entered_as_ever(tree: Tree) -> None:
    await tree.allow("tenant", "ann", "", "configmaps", "list")
    assert (await tree.as_user("tenant", ANN).do("GET", MAPS)).code == 200


async def test_service_accounts_are_at_home(tree: Tree) -> None:
    await heir(tree, [])
    cluster = tree.shard.store.pending_cluster("root:a")
    assert cluster is not None
    name = "system:serviceaccount:default:default"
    account = Identity(name, "", ("system:serviceaccounts", "system:authenticated"), {}, cluster.id)
    await tree.allow("root:a", name, "", "configmaps", "list")
    assert (await tree.as_user("root:a", account).do("GET", MAPS)).code == 200


async def test_rights_are_inherited_where_the_type_says_so(tree: Tree) -> None:
    await heir(tree, ["RBAC"])
    ann = tree.as_user("root:a", ANN)
    assert (await ann.do("GET", MAPS)).code == 403
    await tree.root.create(f"{RBAC}/clusterrolebindings", binding("chief", "cluster-admin", "ann"))
    assert (await ann.do("GET", MAPS)).code == 200
    assert (await tree.root.do("DELETE", f"{RBAC}/clusterrolebindings/chief")).code == 200
    assert (await ann.do("GET", MAPS)).code == 403
    await tree.root.create(WORKSPACES, workspace("b"))
    await tree.settle()
    await tree.root.create(f"{RBAC}/clusterrolebindings", binding("chief", "cluster-admin", "ann"))
    assert (await tree.as_user("root:b", ANN).do("GET", MAPS)).code == 403


async def test_a_local_binding_hides_an_inherited_one(tree: Tree) -> None:
    await heir(tree, ["RBAC"])
    await tree.root.create(f"{RBAC}/clusterrolebindings", binding("chief", "cluster-admin", "ann"))
    await tree.at("root:a").create(f"{RBAC}/clusterrolebindings", binding("chief", "view", "bob"))
    assert (await tree.as_user("root:a", ANN).do("GET", MAPS)).code == 403


async def test_a_role_of_an_ancestor_can_be_bound(tree: Tree) -> None:
    await heir(tree, ["RBAC"])
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    rules.append({"nonResourceURLs": ["/"], "verbs": ["access"]})  # type: ignore[dict-item]
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "r"},
        "rules": rules,
    }
    await tree.root.create(f"{RBAC}/clusterroles", body)
    await tree.at("root:a").create(f"{RBAC}/clusterrolebindings", binding("b", "r", "ann"))
    assert (await tree.as_user("root:a", ANN).do("GET", MAPS)).code == 200


async def test_what_is_inherited_is_said(tree: Tree) -> None:
    await heir(tree, ["RBAC", "APIs"])
    own = await tree.at("root:a").get("/apis/core.kcp.io/v1alpha1/logicalclusters/cluster")
    assert own["status"]["inherited"] == [{"what": "APIs", "from": ["root"]}, {"what": "RBAC", "from": ["root"]}]

"""Who may what in a workspace: entering it, and what its ancestors grant."""

import asyncio
from typing import Any

from kcpshard.api.requests import Identity
from tests.contracts.workspace_tree import LOGICAL_CLUSTER, RBAC, TYPES, WORKSPACES, Tree, binding, tree, workspace

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


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


def definition(plural: str = "widgets", kind: str = "Widget", field: str = "a") -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {field: {"type": "string"}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [version],
        },
    }  # fmt: skip


def widget(**spec: str) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}


async def served_conflicts(tree: Tree) -> str:
    await tree.settle()
    own = await tree.at("root:a").get("/apis/core.kcp.io/v1alpha1/logicalclusters/cluster")
    found = [c for c in own["status"].get("conditions", ()) if c["type"] == "InheritedAPIsServed"]
    return str(found[0].get("message", "")) if found else ""


async def test_types_are_inherited_where_the_type_says_so(tree: Tree) -> None:
    await heir(tree, ["APIs"])
    await tree.root.create(WORKSPACES, workspace("b"))
    await tree.root.create(CRDS, definition())
    await tree.settle()
    inside = tree.at("root:a")
    made = await inside.create(WIDGETS, widget(a="x", unknown="y"))
    assert made["spec"] == {"a": "x"}, "pruned by the ancestor's schema"
    assert (await inside.do("GET", WIDGETS)).names == ["w"]
    assert (await tree.root.do("GET", WIDGETS)).names == []
    assert (await tree.at("root:b").do("GET", WIDGETS)).code == 404
    changed = {"spec": {"versions": [{**definition(field="unknown")["spec"]["versions"][0]}]}}
    await tree.root.patch(f"{CRDS}/widgets.example.com", changed)
    await tree.settle()
    assert (await inside.patch(f"{WIDGETS}/w", {"spec": {"unknown": "z"}}))["spec"] == {"unknown": "z"}
    assert (await tree.root.do("DELETE", f"{CRDS}/widgets.example.com")).code == 200
    await tree.settle()
    assert (await inside.do("GET", WIDGETS)).code == 404


async def test_a_local_definition_counts_and_the_conflict_is_said(tree: Tree) -> None:
    await heir(tree, ["APIs"])
    await tree.root.create(CRDS, definition())
    await tree.settle()
    inside = tree.at("root:a")
    assert await served_conflicts(tree) == ""
    await inside.create(CRDS, definition(field="b"))
    await tree.settle()
    assert (await inside.create(WIDGETS, widget(a="x", b="y")))["spec"] == {"b": "y"}
    assert await served_conflicts(tree) == "widgets.example.com of root is hidden by the definition here"
    await inside.do("DELETE", f"{CRDS}/widgets.example.com")
    await tree.settle()
    assert (await inside.do("GET", WIDGETS)).code == 200
    assert await served_conflicts(tree) == ""


async def test_a_name_that_is_taken_is_a_conflict(tree: Tree) -> None:
    await heir(tree, ["APIs"])
    inside = tree.at("root:a")
    await inside.create(CRDS, definition("gadgets", "Widget"))
    await tree.root.create(CRDS, definition())
    await tree.settle()
    assert (await inside.do("GET", WIDGETS)).code == 404
    await inside.patch(f"{CRDS}/gadgets.example.com", {"metadata": {"labels": {"a": "b"}}})
    assert await served_conflicts(tree) == "widgets.example.com of root clashes in its name widget"


async def test_objects_of_types_that_nobody_serves_any_more_go_with_the_rest(tree: Tree) -> None:
    await heir(tree, ["APIs"])
    await tree.root.create(CRDS, definition())
    await tree.settle()
    await tree.at("root:a").create(WIDGETS, widget(a="x"))
    await tree.root.do("DELETE", f"{CRDS}/widgets.example.com")
    await tree.root.do("DELETE", f"{WORKSPACES}/a")
    async with asyncio.timeout(20):
        while (await tree.root.do("GET", f"{WORKSPACES}/a")).code != 404:
            await asyncio.sleep(0.01)


async def test_what_local_rights_hide_is_told(tree: Tree) -> None:
    await tree.allow("root", "ann", "", "configmaps", "list")
    await heir(tree, ["RBAC"])
    inside = tree.at("root:a")

    async def told() -> Any:
        """After somebody whose rights are looked at has asked."""
        await tree.as_user("root:a", ANN).do("GET", MAPS)
        await tree.settle()
        found = (await inside.get(LOGICAL_CLUSTER))["status"].get("conditions", ())
        return next((each for each in found if each["type"] == "InheritedRBACHolds"), None)

    assert (await told())["status"] == "True"
    other = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}
    await inside.create(f"{RBAC}/clusterroles", {"metadata": {"name": "ann-configmaps"}, "rules": [other]})
    found = await told()
    assert (found["status"], found["reason"]) == ("False", "Conflict")
    assert found["message"] == "ClusterRole ann-configmaps is defined here and in an ancestor"
    assert (await inside.do("DELETE", f"{RBAC}/clusterroles/ann-configmaps")).code == 200
    assert (await told())["status"] == "True"

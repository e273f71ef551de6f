"""Workspaces from their creation to their end, on one shard."""

from typing import Any

import orjson
import pytest

from kcpshard.api.requests import Identity
from kcpshard.controllers.assembly import assemble
from kcpshard.controllers.workspaces import CONTROLLER
from tests.contracts.api_client import ADMIN, ApiClient
from tests.contracts.workspace_tree import TYPES, WORKSPACES, Tree, tree, workspace

__all__ = ["tree"]

USER = Identity("ann", "", ("system:authenticated",))


async def test_a_workspace_becomes_ready(tree: Tree) -> None:
    made = await tree.root.create(WORKSPACES, workspace("org"))
    assert made["status"]["phase"] == "Ready", "its own shard serves the path"
    assert made["spec"]["type"] == {"name": "organization", "path": "root"}
    await tree.settle()
    found = await tree.root.get(f"{WORKSPACES}/org")
    assert found["status"]["phase"] == "Ready"
    assert found["spec"]["cluster"] == "root:org"
    assert found["spec"]["URL"] == "https://localhost/clusters/root:org"
    assert {c["type"]: c["status"] for c in found["status"]["conditions"]} == {
        "WorkspaceScheduled": "True",
        "WorkspaceInitialized": "True",
    }
    own = await tree.at("root:org").get("/apis/core.kcp.io/v1alpha1/logicalclusters/cluster")
    assert own["status"] == {"URL": "https://localhost/clusters/root:org", "phase": "Ready"}
    assert own["spec"]["owner"]["uid"] == found["metadata"]["uid"]
    assert own["metadata"]["annotations"]["internal.tenancy.kcp.io/type"] == "root:organization"
    assert (await tree.at("root:org").get("/api/v1/namespaces/default"))["metadata"]["name"] == "default"


async def test_labels_do_not_keep_a_workspace_from_being_made(tree: Tree) -> None:
    made = workspace("a")
    made["metadata"]["labels"] = {"cluster": "x", "deletionTimestamp": "y", "phase": "Ready"}
    await tree.root.create(WORKSPACES, made)
    await tree.settle()
    assert (await tree.root.get(f"{WORKSPACES}/a"))["status"]["phase"] == "Ready"


async def test_nothing_is_below_without_a_workspace(tree: Tree) -> None:
    reply = await tree.at("root:nowhere").do("GET", "/api/v1/namespaces/default")
    assert reply.code == 404


async def test_the_creator_is_administrator(tree: Tree) -> None:
    await tree.allow("root", "ann", "tenancy.kcp.io", "workspaces", "create", "get", "delete")
    made = await tree.as_user("root", USER).create(WORKSPACES, workspace("mine", type_="universal"))
    owner = orjson.loads(made["metadata"]["annotations"]["experimental.tenancy.kcp.io/owner"])
    assert owner["username"] == "ann"
    await tree.settle()
    inside = tree.as_user("root:mine", USER)
    assert (await inside.do("GET", "/api/v1/namespaces/default/configmaps")).code == 200
    own = await tree.at("root:mine").get("/apis/core.kcp.io/v1alpha1/logicalclusters/cluster")
    assert own["spec"]["createdBy"]["username"] == "ann"
    other = tree.as_user("root:mine", Identity("bob", "", ("system:authenticated",)))
    assert (await other.do("GET", "/api/v1/namespaces/default/configmaps")).code == 403


async def test_initializers_hold_a_workspace_back(tree: Tree) -> None:
    await tree.root.create(TYPES, tree.type("base", initializer=True))
    await tree.root.create(TYPES, tree.type("special", initializer=True, extends=["root:base"]))
    await tree.root.create(WORKSPACES, workspace("a", type_="special"))
    await tree.settle()
    found = await tree.root.get(f"{WORKSPACES}/a")
    assert found["status"]["phase"] == "Initializing"
    assert found["status"]["initializers"] == ["root:special", "root:base"]
    inside = tree.at("root:a")
    place = "/apis/core.kcp.io/v1alpha1/logicalclusters/cluster"
    own = await inside.get(place)
    assert len(own["metadata"]["labels"]) == 2
    await inside.patch(f"{place}/status", {"status": {"initializers": ["root:base"]}})
    await tree.settle()
    assert (await tree.root.get(f"{WORKSPACES}/a"))["status"]["initializers"] == ["root:base"]
    assert len((await inside.get(place))["metadata"]["labels"]) == 1
    done = await inside.patch(f"{place}/status", {"status": {"initializers": []}})
    assert done["status"]["phase"] == "Ready"
    await tree.settle()
    assert (await tree.root.get(f"{WORKSPACES}/a"))["status"]["phase"] == "Ready"
    assert "labels" not in (await inside.get(place))["metadata"]


async def test_a_workspace_goes_with_all_that_is_in_it(tree: Tree) -> None:
    await tree.root.create(WORKSPACES, workspace("org"))
    await tree.settle()
    org = tree.at("root:org")
    await org.create(WORKSPACES, workspace("team"))
    await tree.settle()
    team = tree.at("root:org:team")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    await team.create("/api/v1/namespaces/default/configmaps", body)
    cluster = tree.shard.store.pending_cluster("root:org:team")
    assert cluster is not None
    gone: list[int] = []
    tree.shard.store.on_removal(lambda cluster: gone.append(cluster.id))
    assert (await tree.root.do("DELETE", f"{WORKSPACES}/org")).code == 200
    await tree.settle()
    assert (await tree.root.do("GET", f"{WORKSPACES}/org")).code == 404
    assert (await org.do("GET", "/api/v1/namespaces/default")).code == 404
    assert tree.shard.store.pending_cluster("root:org:team") is None
    assert gone[0] == cluster.id and len(gone) == 2
    await tree.root.create(WORKSPACES, workspace("org"))
    await tree.settle()
    assert (await tree.root.get(f"{WORKSPACES}/org"))["status"]["phase"] == "Ready"
    assert (await org.do("GET", "/api/v1/namespaces/default/configmaps/c")).code == 404


async def test_finalizers_and_terminators_hold_the_end_back(tree: Tree) -> None:
    await tree.root.create(TYPES, tree.type("careful", terminator=True))
    await tree.root.create(WORKSPACES, workspace("a", type_="careful"))
    await tree.settle()
    inside = tree.at("root:a")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "finalizers": ["example.com/x"]}}
    maps = "/api/v1/namespaces/default/configmaps"
    await inside.create(maps, body)
    await tree.root.do("DELETE", f"{WORKSPACES}/a")
    await tree.settle()
    assert (await tree.root.get(f"{WORKSPACES}/a"))["status"]["phase"] == "Terminating"
    refused = await tree.as_administrator_of("root:a").do("POST", maps, {**body, "metadata": {"name": "d"}})
    assert refused.code == 403 and "being terminated" in refused.message
    place = "/apis/core.kcp.io/v1alpha1/logicalclusters/cluster"
    assert (await inside.get(maps + "/c"))["metadata"]["name"] == "c"
    await inside.patch(f"{place}/status", {"status": {"terminators": None}})
    await tree.settle()
    found = await tree.root.get(f"{WORKSPACES}/a")
    assert found["status"]["phase"] == "Deleting"
    held = await inside.get(maps + "/c")
    assert held["metadata"]["deletionTimestamp"]
    own = await inside.get(place)
    assert "configmaps has 1" in orjson.dumps(own["status"]["conditions"]).decode()
    await inside.patch(maps + "/c", {"metadata": {"finalizers": None}})
    await tree.settle()
    assert (await tree.root.do("GET", f"{WORKSPACES}/a")).code == 404


async def test_a_restart_goes_on_where_it_was(tree: Tree) -> None:
    """A Workspace whose birth nobody has written down is found by its uid."""
    await tree.root.create(WORKSPACES, workspace("org"))
    fresh = assemble(tree.shard, frozenset({CONTROLLER}))
    tree.replace_runner(fresh)
    await tree.settle()
    assert (await tree.root.get(f"{WORKSPACES}/org"))["status"]["phase"] == "Ready"


async def test_a_path_that_is_taken_is_said(tree: Tree) -> None:
    from kcpshard.verbs import births

    births.bear(tree.shard, "root:org")
    await tree.root.create(WORKSPACES, workspace("org"))
    await tree.settle()
    found = await tree.root.get(f"{WORKSPACES}/org")
    assert found["status"]["phase"] == "Scheduling"
    assert found["status"]["conditions"][0]["reason"] == "NameTaken"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param({"type": {"name": "nope", "path": "root"}}, "cannot be resolved", id="no such type"),
        pytest.param({"type": {"name": "team", "path": "root"}}, "only allows", id="not below root"),
        pytest.param({"type": {"name": "root", "path": "root"}}, "cannot have any parent", id="never below anything"),
        pytest.param({"cluster": "root"}, "spec.cluster can only be set", id="the system's"),
        pytest.param({"mount": {"ref": {"apiVersion": "v1", "kind": "A", "name": "b"}}}, "not supported", id="mount"),
    ],
)
async def test_what_is_refused(tree: Tree, body: Any, text: str) -> None:
    client = tree.as_administrator_of("root")
    reply = await client.do("POST", WORKSPACES, {**workspace("x"), "spec": body})
    assert reply.code == 403, reply.json
    assert text in reply.message


async def test_only_the_system_makes_logical_clusters(tree: Tree) -> None:
    body = {"apiVersion": "core.kcp.io/v1alpha1", "kind": "LogicalCluster", "metadata": {"name": "cluster"}}
    client = tree.as_administrator_of("root")
    assert (await client.do("POST", "/apis/core.kcp.io/v1alpha1/logicalclusters", body)).code == 403
    assert (await client.do("DELETE", "/apis/core.kcp.io/v1alpha1/logicalclusters/cluster")).code == 403
    system = ApiClient(tree.shard, "root:new", ADMIN)
    made = await system.create("/apis/core.kcp.io/v1alpha1/logicalclusters", body)
    assert made["status"]["phase"] == "Ready"
    assert (await system.do("POST", "/apis/core.kcp.io/v1alpha1/logicalclusters", body)).code == 409


async def test_who_chooses_a_place_is_told_who_does(tree: Tree) -> None:
    made = workspace("a", "universal")
    made["spec"]["location"] = {"selector": {"matchLabels": {"name": "shard-2"}}}
    reply = await tree.root.do("POST", WORKSPACES, made)
    assert reply.code == 403 and "kcp move" in reply.json["message"]

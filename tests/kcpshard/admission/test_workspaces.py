"""What nobody but the system may change of a Workspace; which types one may have is in controllers/test_workspaces."""

from typing import Any

import orjson
import pytest

from kcpshard.admission.workspaces import user_info
from kcpshard.api.requests import Identity
from tests.contracts.workspace_tree import TYPES, WORKSPACES, Tree, tree, workspace

__all__ = ["tree"]


def test_who_has_made_it() -> None:
    info = orjson.loads(user_info(Identity("ann", "7", ("a",), {"k": ["v"]}), "root"))
    assert info == {"username": "ann", "uid": "7", "groups": ["a"], "extra": {"k": ["v"]}}
    account = Identity("system:serviceaccount:a:b", "", (), {}, 5)
    assert orjson.loads(user_info(account, "root:x"))["extra"] == {"authentication.kcp.io/cluster-name": ["root:x"]}


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        pytest.param({"spec": {"cluster": "root:other"}}, "spec.cluster can only be changed", id="cluster"),
        pytest.param({"spec": {"URL": "https://evil"}}, "spec.URL can only be changed", id="URL"),
        pytest.param({"spec": {"type": {"name": "team"}}}, "spec.type is immutable", id="type"),
        pytest.param({"metadata": {"finalizers": None}}, "finalizer core.kcp.io/logicalcluster", id="finalizer"),
        pytest.param(
            {"metadata": {"annotations": {"experimental.tenancy.kcp.io/owner": "x"}}}, "is immutable", id="owner"
        ),
    ],
)
async def test_what_stays(tree: Tree, patch: Any, text: str) -> None:
    chief = tree.as_administrator_of("root")
    await chief.create(WORKSPACES, workspace("a"))
    await tree.settle()
    reply = await chief.do("PATCH", f"{WORKSPACES}/a", patch, "application/merge-patch+json")
    assert reply.code == 403 and text in reply.message, reply.json
    await chief.patch(f"{WORKSPACES}/a", {"metadata": {"labels": {"x": "y"}}})


async def test_labels_of_the_type_do_not_replace_ones_own(tree: Tree) -> None:
    labels = {"a": "type", "b": "type"}
    await tree.root.create(
        WORKSPACES.replace("workspaces", "workspacetypes"), tree.type("t", additionalWorkspaceLabels=labels)
    )
    made = workspace("x", "t")
    made["metadata"]["labels"] = {"a": "own"}
    found = await tree.root.create(WORKSPACES, made)
    assert found["metadata"]["labels"] == {"a": "own", "b": "type"}


async def test_a_type_needs_the_verb_use(tree: Tree) -> None:
    await tree.root.create(TYPES, tree.type("t", extends=["root:base"]))
    await tree.root.create(TYPES, tree.type("base"))
    await tree.allow("root", "ann", "tenancy.kcp.io", "workspaces", "create")
    ann = tree.as_user("root", Identity("ann", "", ("system:authenticated",)))
    refused = await ann.do("POST", WORKSPACES, workspace("x", "t"))
    assert refused.code == 403 and "unable to use workspace type root:t" in refused.message
    await tree.allow("root", "ann", "tenancy.kcp.io", "workspacetypes", "use")
    assert (await ann.do("POST", WORKSPACES, workspace("x", "t"))).code == 201

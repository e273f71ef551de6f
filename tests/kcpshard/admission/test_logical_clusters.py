from typing import Any

import pytest

from tests.contracts.workspace_tree import LOGICAL_CLUSTER, TYPES, WORKSPACES, Tree, tree, workspace

__all__ = ["tree"]


@pytest.mark.parametrize(
    ("subresource", "patch", "text"),
    [
        ("", {"spec": {"owner": None}}, "spec.owner is immutable"),
        ("", {"spec": {"inherit": ["RBAC"]}}, "spec.inherit is immutable"),
        ("", {"metadata": {"finalizers": None}}, "finalizer"),
        ("/status", {"status": {"initializers": ["root:t", "root:other"]}}, "status.initializers must not grow"),
        ("/status", {"status": {"terminators": None}}, "status.terminators is immutable before"),
        ("/status", {"status": {"phase": "Ready"}}, "status.initializers is not empty"),
        ("/status", {"status": {"phase": "Scheduling"}}, 'cannot transition from "Initializing"'),
    ],
)
async def test_what_a_tenant_may_not(tree: Tree, subresource: str, patch: Any, text: str) -> None:
    await tree.root.create(TYPES, tree.type("t", initializer=True, terminator=True))
    await tree.root.create(WORKSPACES, workspace("a", "t"))
    await tree.settle()
    chief = tree.as_administrator_of("root:a")
    reply = await chief.do("PATCH", LOGICAL_CLUSTER + subresource, patch, "application/merge-patch+json")
    assert reply.code == 403 and text in reply.message, reply.json


async def test_one_that_says_so_may_be_deleted_from_within(tree: Tree) -> None:
    await tree.root.create(WORKSPACES, workspace("a"))
    await tree.settle()
    chief = tree.as_administrator_of("root:a")
    assert (await chief.do("DELETE", LOGICAL_CLUSTER)).code == 403
    await chief.patch(LOGICAL_CLUSTER, {"spec": {"directlyDeletable": True}})
    assert (await chief.do("DELETE", LOGICAL_CLUSTER)).code == 200
    await tree.settle()
    assert tree.shard.store.pending_cluster("root:a") is None

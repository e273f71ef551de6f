from typing import Any

from kcpshard.api.proofs import ClaimedObject, Proof
from kcpshard.api.requests import Identity
from kcpshard.verbs.guests import known_as
from tests.contracts.api_client import ApiClient, Reply
from tests.contracts.workspace_tree import RBAC, TYPES, WORKSPACES, Tree, binding, tree, workspace

__all__ = ["tree"]

MAPS = "/api/v1/namespaces/default/configmaps"
HERE = "system:kcp:serviceaccount:root:default:bot"


def test_names() -> None:
    account = Identity("system:serviceaccount:n:a", "u", ("system:serviceaccounts", "system:masters"), {}, 7)
    found = known_as(account.encode(), "root:org")
    assert found == Identity(
        "system:kcp:serviceaccount:root:org:n:a", "", ("system:authenticated", "system:cluster:root:org")
    )
    assert known_as(found.encode(), "root:org") == found
    assert known_as(Identity("ann", "", (), {}, 7).encode(), "root").username == "system:kcp:user:root:ann"


class Bot:
    """A service account of root."""

    def __init__(self, tree: Tree, uid: str, scope: int) -> None:
        groups = ("system:serviceaccounts", "system:authenticated")
        self._tree = tree
        self._identity = Identity("system:serviceaccount:default:bot", uid, groups, {}, scope)
        self._proof = Proof(scope, (ClaimedObject("serviceaccounts", "default", "bot", uid),)).encode()

    async def ask(self, path: str, method: str = "GET", body: Any = None) -> Reply:
        client = ApiClient(self._tree.shard, path, self._identity)
        request = client.request(method, MAPS, body)
        request.proof = self._proof
        return await client.send(request)


async def bot(tree: Tree, inherit: list[str]) -> Bot:
    body = {"metadata": {"name": "bot"}}
    made = await tree.root.create("/api/v1/namespaces/default/serviceaccounts", body)
    await tree.root.create(TYPES, tree.type("t", inherit=inherit))
    await tree.root.create(WORKSPACES, workspace("a", "t"))
    await tree.settle()
    cluster = tree.shard.store.pending_cluster("root")
    assert cluster is not None
    return Bot(tree, made["metadata"]["uid"], cluster.id)


async def test_an_account_of_an_ancestor_is_somebody_where_that_is_inherited(tree: Tree) -> None:
    found = await bot(tree, ["Authentication"])
    assert (await found.ask("root:a")).code == 403
    await tree.at("root:a").create(f"{RBAC}/clusterrolebindings", binding("b", "cluster-admin", HERE))
    assert (await found.ask("root:a")).code == 200
    assert (await found.ask("root:a", "POST", {"metadata": {"name": "c"}})).code == 201
    assert (await tree.root.do("DELETE", "/api/v1/namespaces/default/serviceaccounts/bot")).code == 200
    assert (await found.ask("root:a")).code == 401


async def test_it_is_nobody_elsewhere(tree: Tree) -> None:
    found = await bot(tree, ["RBAC", "APIs"])
    await tree.at("root:a").create(f"{RBAC}/clusterrolebindings", binding("b", "cluster-admin", HERE))
    assert (await found.ask("root:a")).code == 401
    assert (await found.ask("other")).code == 401


async def test_a_local_account_of_the_same_name_is_another(tree: Tree) -> None:
    found = await bot(tree, ["Authentication"])
    local = binding("b", "cluster-admin", "system:serviceaccount:default:bot")
    await tree.at("root:a").create(f"{RBAC}/clusterrolebindings", local)
    assert (await found.ask("root:a")).code == 403

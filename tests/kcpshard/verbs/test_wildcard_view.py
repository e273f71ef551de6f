import pytest

from kcpshard.api.errors import Forbidden, Unauthorized
from kcpshard.api.proofs import Proof
from kcpshard.api.requests import Identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs.wildcard_view import WildcardView, who_asks
from tests.contracts.api_client import ADMIN, CONFIGMAPS, USER, ApiClient, configmap
from tests.contracts.workspace_tree import LOGICAL_CLUSTER, WORKSPACES, Tree, tree, workspace

__all__ = ["tree"]

WANTED = Attributes("list", "", "v1", "configmaps")
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
async def two(client: ApiClient) -> ApiClient:
    for path in ("one", "two"):
        await ApiClient(client.shard, path).create(CONFIGMAPS, configmap("a"))
    return client


def seen(client: ApiClient, view: WildcardView) -> list[str]:
    return [c.path for c in client.shard.store.clusters() if view.place(c.id, c.path)]


async def allow(client: ApiClient, path: str) -> None:
    there = ApiClient(client.shard, path)
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    subject = {"kind": "User", "name": USER.username, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
    await there.create(f"{RBAC}/clusterroles", {"metadata": {"name": "r"}, "rules": rules})
    await there.create(
        f"{RBAC}/clusterrolebindings", {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": reference}
    )


async def test_an_administrator_sees_what_the_pattern_covers(two: ApiClient) -> None:
    assert seen(two, WildcardView(two.shard, "*", ADMIN.encode(), WANTED)) == ["one", "two"]
    assert seen(two, WildcardView(two.shard, "one:*", ADMIN.encode(), WANTED)) == []


async def test_others_see_where_they_may(two: ApiClient) -> None:
    view = WildcardView(two.shard, "*", USER.encode(), WANTED)
    assert seen(two, view) == []
    assert not await view.changed()
    await allow(two, "two")
    assert await view.changed(), "more is to be seen"
    assert seen(two, WildcardView(two.shard, "*", USER.encode(), WANTED)) == ["two"]


async def test_rights_lost_are_a_change(two: ApiClient) -> None:
    await allow(two, "one")
    view = WildcardView(two.shard, "*", USER.encode(), WANTED)
    assert seen(two, view) == ["one"]
    await ApiClient(two.shard, "one").do("DELETE", f"{RBAC}/clusterrolebindings/b")
    assert await view.changed()


async def test_an_identity_of_one_logical_cluster_is_nobody_elsewhere(two: ApiClient) -> None:
    cluster = two.shard.store.find_cluster("one")
    assert cluster is not None
    scoped = Identity("system:serviceaccount:default:x", "", ("system:masters",), {}, cluster.id)
    assert seen(two, WildcardView(two.shard, "*", scoped.encode(), WANTED)) == ["one"]


async def test_the_annotation_names_the_logical_cluster(two: ApiClient) -> None:
    view = WildcardView(two.shard, "*", ADMIN.encode(), WANTED)
    cluster = two.shard.store.find_cluster("two")
    assert cluster is not None
    place = view.place(cluster.id)
    value = two.shard.store.get(cluster, "configmaps", "default", "a")
    assert place is not None and value is not None
    assert b'"annotations":{"kcp.io/cluster":"two"}' in place.body(value)
    assert b'"resourceVersion":"0000000000000000077"' in place.body(value, 77)


def asking(**changes: object) -> pb.Request:
    return pb.Request(cluster="*", **{"identity": ADMIN.encode(), **changes})  # type: ignore[arg-type]


async def test_only_administrators_act_as_others(two: ApiClient) -> None:
    acting = b'{"username":"alice"}'
    assert b'"alice"' in who_asks(two.shard, asking(impersonation=acting))
    with pytest.raises(Forbidden):
        who_asks(two.shard, asking(impersonation=acting, identity=USER.encode()))
    scoped = Identity("admin", "", ("system:masters",), {}, 7)
    with pytest.raises(Forbidden):
        who_asks(two.shard, asking(impersonation=acting, identity=scoped.encode()))


async def test_a_credential_must_name_its_logical_cluster(two: ApiClient) -> None:
    with pytest.raises(Unauthorized):
        who_asks(two.shard, asking(proof=Proof(0).encode()))
    with pytest.raises(Unauthorized):
        who_asks(two.shard, asking(proof=b"[]"))
    assert who_asks(two.shard, asking(proof=Proof(12345).encode())) == ADMIN.encode(), "judged where it lives"
    with pytest.raises(Unauthorized):
        WildcardView(two.shard, "*", b"", WANTED)


async def test_workspaces_are_chosen_by_labels(tree: Tree) -> None:
    for name, labels in (("a", {"env": "prod"}), ("b", {"env": "test"}), ("c", {})):
        made = workspace(name, "universal")
        await tree.root.create(WORKSPACES, {**made, "metadata": {"name": name, "labels": labels}})
    await tree.settle()

    def view(selector: str, pattern: str = "root:*", identity: Identity = ADMIN) -> WildcardView:
        return WildcardView(tree.shard, pattern, identity.encode(), WANTED, None, selector)

    client = tree.root
    production = view("env=prod")
    assert seen(client, production) == ["root:a"]
    assert seen(client, view("env", "*")) == ["root:a", "root:b"]
    assert seen(client, view("!env", "*")) == ["root", "root:c"], "one without a Workspace has no labels"
    assert seen(client, view("env=prod", identity=USER)) == [], "rights count as ever"
    assert not await production.changed()
    await tree.root.patch(f"{WORKSPACES}/b", {"metadata": {"labels": {"env": "prod"}}})
    await tree.settle()
    assert await production.changed(), "a watch ends with 410"
    assert seen(client, view("env=prod")) == ["root:a", "root:b"]
    await tree.root.patch(f"{WORKSPACES}/b", {"metadata": {"labels": None}})
    await tree.settle()
    assert seen(client, view("env=prod")) == ["root:a"]


async def test_nobody_in_a_workspace_changes_what_others_choose_it_by(tree: Tree) -> None:
    made = workspace("a", "universal")
    await tree.root.create(WORKSPACES, {**made, "metadata": {"name": "a", "labels": {"env": "test"}}})
    await tree.settle()
    for key in ("internal.tenancy.kcp.io/workspace-labels", "internal.tenancy.kcp.io/type"):
        patch = {"metadata": {"annotations": {key: "{}"}}}
        reply = await tree.as_administrator_of("root:a").do(
            "PATCH", LOGICAL_CLUSTER, patch, "application/merge-patch+json"
        )
        assert reply.code == 403

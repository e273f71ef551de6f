from typing import Any

import pytest

from kcpshard.api.requests import Identity
from kcpshard.storage.object_store import Store
from kcpshard.verbs import births, cluster_limits
from tests.contracts.admission_hooks import configure, hook, reviewing
from tests.contracts.api_client import ApiClient, Reply, memory_shard
from tests.contracts.registrations import RULE
from tests.contracts.webhook_server import webhook_server

URL = "/apis/changes.kcp.io/v1alpha1/transactions"
MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, value: str = "1", namespace: str = "default", **meta: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, **meta}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": value}}


def apply(obj: Any, **members: Any) -> dict[str, Any]:
    return {"verb": "Apply", "object": obj, **members}


async def send(client: ApiClient, *operations: Any, query: str = "?fieldManager=me") -> Reply:
    body = {"apiVersion": "changes.kcp.io/v1alpha1", "kind": "Transaction", "spec": {"operations": operations}}
    return await client.do("POST", URL + query, body)


async def names(client: ApiClient, url: str = MAPS) -> list[str]:
    return [name for name in (await client.do("GET", url)).names if name != "kube-root-ca.crt"]


def outcomes(reply: Reply) -> list[str]:
    assert reply.code == 201, reply.json
    return [result["outcome"] for result in reply.json["status"]["results"]]


async def test_everything_at_one_revision(client: ApiClient) -> None:
    await client.do("POST", MAPS, config_map("old"))
    delete = {"verb": "Delete", "object": config_map("old")}
    reply = await send(client, apply(config_map("a")), {"verb": "Create", "object": config_map("b")}, delete)
    assert outcomes(reply) == ["Created", "Created", "Deleted"] and reply.waited
    revision = reply.json["status"]["resourceVersion"]
    assert await names(client) == ["a", "b"]
    for name in ("a", "b"):
        stored = (await client.do("GET", f"{MAPS}/{name}")).json
        assert stored["metadata"]["resourceVersion"] == revision
    shown = [result["object"] for result in reply.json["status"]["results"]]
    assert shown[0] == (await client.do("GET", f"{MAPS}/a")).json
    assert shown[2]["metadata"] == {"name": "old", "namespace": "default"}
    store = client.shard.store
    cluster = store.find_cluster("root")
    assert cluster is not None
    (commit,) = store.log(cluster, int(revision) - 1, int(revision), 10, retention=-1)
    assert len(commit.changes) == 3


async def test_nothing_if_one_is_refused(client: ApiClient) -> None:
    reply = await send(client, apply(config_map("a")), apply(config_map("b", labels={"x": "not a label!"})))
    assert reply.code == 422 and reply.json["reason"] == "Invalid"
    assert reply.message.startswith('spec.operations[1] (Apply configmaps "b"): ')
    (cause,) = reply.json["details"]["causes"]
    assert cause["field"] == "spec.operations[1].object.metadata.labels"
    assert reply.json["details"]["name"] == "b" and await names(client) == []


async def test_server_side_apply_knows_its_conflicts(client: ApiClient) -> None:
    await send(client, apply(config_map("a")))
    reply = await send(client, apply(config_map("n")), apply(config_map("a", "2")), query="?fieldManager=you")
    assert reply.code == 409 and reply.json["details"]["causes"][0]["field"] == "spec.operations[1].object..data.k"
    assert await names(client) == ["a"]
    forced = await send(client, apply(config_map("a", "2"), force=True), query="?fieldManager=you")
    assert outcomes(forced) == ["Configured"]
    assert outcomes(await send(client, apply(config_map("a", "2")), query="?fieldManager=you")) == ["Unchanged"]


async def test_objects_may_stand_on_earlier_ones(client: ApiClient) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    reply = await send(client, apply(namespace), apply(config_map("a", namespace="shop")))
    assert outcomes(reply) == ["Created", "Created"]
    assert await names(client, "/api/v1/namespaces/shop/configmaps") == ["a"]
    backwards = await send(
        client, apply(config_map("a", namespace="b")), apply({**namespace, "metadata": {"name": "b"}})
    )
    assert backwards.code == 404 and backwards.json["details"]["causes"][-1]["field"] == "spec.operations[0]"


async def test_a_quota_counts_all_of_them(client: ApiClient) -> None:
    quota = {
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "3"}},
    }  # fmt: skip
    made = (await client.do("POST", "/api/v1/namespaces/default/resourcequotas", quota)).json
    status = {"hard": {"configmaps": "3"}, "used": {"configmaps": "1"}}
    await client.do("PUT", "/api/v1/namespaces/default/resourcequotas/q/status", {**made, "status": status})
    reply = await send(client, *(apply(config_map(name)) for name in "abc"))
    assert reply.code == 403 and "exceeded quota" in reply.message and await names(client) == []
    assert outcomes(await send(client, *(apply(config_map(name)) for name in "ab"))) == ["Created"] * 2
    now = (await client.do("GET", "/api/v1/namespaces/default/resourcequotas/q")).json
    assert now["status"]["used"] == {"configmaps": "3"}


@pytest.mark.parametrize(
    ("preconditions", "code"),
    [
        ({"exists": True}, 201),
        ({"exists": False}, 409),
        ({"uid": "another"}, 409),
        ({"resourceVersion": "7"}, 409),
    ],
)
async def test_preconditions_of_what_is_there(client: ApiClient, preconditions: Any, code: int) -> None:
    await client.do("POST", MAPS, config_map("there"))
    check = {"verb": "Check", "object": config_map("there"), "preconditions": preconditions}
    reply = await send(client, apply(config_map("new")), check)
    assert reply.code == code
    assert await names(client) == (["new", "there"] if code == 201 else ["there"])


async def test_preconditions_that_hold(client: ApiClient) -> None:
    meta = (await client.do("POST", MAPS, config_map("there"))).json["metadata"]
    wanted = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    reply = await send(client, apply(config_map("there", "2"), force=True, preconditions=wanted))
    assert outcomes(reply) == ["Configured"]
    again = await send(client, {"verb": "Delete", "object": config_map("there"), "preconditions": wanted})
    assert again.code == 409


async def test_preconditions_of_what_is_not_there(client: ApiClient) -> None:
    assert (await send(client, {"verb": "Check", "object": config_map("none")})).code == 404
    check = {"verb": "Check", "object": config_map("none"), "preconditions": {"exists": False}}
    assert outcomes(await send(client, check)) == ["Checked"]
    assert (await send(client, apply(config_map("none"), preconditions={"uid": "u"}))).code == 404


async def test_a_dry_run_stores_nothing_and_knows_its_own_objects(client: ApiClient) -> None:
    await client.do("POST", MAPS, config_map("old"))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    update = apply(config_map("old", "2"), force=True)
    reply = await send(
        client, apply(namespace), apply(config_map("a", namespace="shop")), update, query="?fieldManager=me&dryRun=All"
    )
    assert outcomes(reply) == ["Created", "Created", "Configured"]
    shown = [result["object"]["metadata"] for result in reply.json["status"]["results"]]
    old = (await client.do("GET", f"{MAPS}/old")).json
    assert "resourceVersion" not in shown[1] and shown[2]["resourceVersion"] == old["metadata"]["resourceVersion"]
    assert old["data"] == {"k": "1"} and (await client.do("GET", "/api/v1/namespaces/shop")).code == 404
    assert "resourceVersion" not in reply.json["status"]


async def test_a_dry_run_where_nothing_is_born(client: ApiClient) -> None:
    assert (await send(client, apply(config_map("a")), query="?fieldManager=me&dryRun=All")).code == 201
    assert client.shard.store.pending_cluster("root") is None


async def test_each_operation_needs_its_own_right(client: ApiClient) -> None:
    await client.do("POST", MAPS, config_map("there"))
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch", "create"]}],
    }  # fmt: skip
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "r"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"}],
    }  # fmt: skip
    base = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    await client.do("POST", f"{base}/roles", role)
    await client.do("POST", f"{base}/rolebindings", binding)
    jane = ApiClient(client.shard, identity=Identity("jane", "", ("system:authenticated",)))
    assert outcomes(await send(jane, apply(config_map("a")))) == ["Created"]
    refused = await send(jane, apply(config_map("b")), {"verb": "Delete", "object": config_map("there")})
    assert refused.code == 403 and refused.json["details"]["causes"][0]["field"] == "spec.operations[1]"
    assert await names(client) == ["a", "there"]
    stranger = ApiClient(client.shard, identity=Identity("joe", "", ("system:authenticated",)))
    assert (await send(stranger, {"verb": "Check", "object": config_map("there")})).code == 403


async def test_a_role_may_be_bound_where_it_is_made(client: ApiClient) -> None:
    await client.do("POST", MAPS, config_map("there"))
    rbac = "rbac.authorization.k8s.io"
    admin = {
        "apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "jane"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "apiGroup": rbac, "name": "jane"}],
    }  # fmt: skip
    await client.do("POST", f"/apis/{rbac}/v1/clusterrolebindings", admin)
    jane = ApiClient(client.shard, identity=Identity("jane", "", ("system:authenticated",)))
    role = {
        "apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    }  # fmt: skip
    binding = {**admin, "metadata": {"name": "r"}, "roleRef": {**admin["roleRef"], "name": "r"}}
    assert outcomes(await send(jane, apply(role), apply(binding))) == ["Created", "Created"]


@pytest.mark.parametrize(
    ("obj", "field"),
    [
        ({"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "a"}}, "spec.operations[0].object.kind"),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
            "spec.operations[0].object.metadata.namespace",
        ),
    ],
)
async def test_what_cannot_be_placed(client: ApiClient, obj: Any, field: str) -> None:
    reply = await send(client, apply(obj))
    assert reply.code == 422 and reply.json["details"]["causes"][0]["field"] == field


async def test_an_object_comes_once(client: ApiClient) -> None:
    reply = await send(client, apply(config_map("a")), apply(config_map("a", "2")))
    assert reply.code == 422 and reply.json["details"]["causes"][0]["reason"] == "FieldValueDuplicate"


async def test_unknown_fields(client: ApiClient) -> None:
    wrong = apply({**config_map("a"), "dat": {}}, forse=True)
    strict = await send(client, wrong, query="?fieldManager=me&fieldValidation=Strict")
    assert strict.code == 400 and 'unknown field "spec.operations[0].forse"' in strict.message
    warned = await send(client, apply(config_map("a"), forse=True))
    assert list(warned.answer.warnings) == ['unknown field "spec.operations[0].forse"']


async def test_a_repeat_gets_the_first_answer(client: ApiClient) -> None:
    generated = {**config_map("-"), "metadata": {"generateName": "g-", "namespace": "default"}}
    body = {
        "apiVersion": "changes.kcp.io/v1alpha1", "kind": "Transaction",
        "spec": {"operations": [
            {"verb": "Create", "object": generated},
            apply(config_map("a")),
        ]},
    }  # fmt: skip
    request = client.request("POST", f"{URL}?fieldManager=me", body)
    request.request_id = b"0123456789abcdef"
    first = await client.send(request)
    assert first.code == 201, first.json
    request.repeat, request.first_sent_us = True, client.shard.now_us()
    assert (await client.send(request)).json == first.json
    assert len(await names(client)) == 2


async def test_a_transaction_that_changes_nothing_commits_nothing(client: ApiClient) -> None:
    await send(client, apply(config_map("a")))
    store = client.shard.store
    assert isinstance(store, Store)
    before = store.statistics().commits
    assert outcomes(await send(client, apply(config_map("a")))) == ["Unchanged"]
    assert store.statistics().commits == before


async def test_limits_of_the_logical_cluster_count_all(client: ApiClient) -> None:
    cluster_limits.follow(client.shard.store)
    await client.do("POST", MAPS, config_map("first"))
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None
    limits = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kcp-limits"},
        "data": {"objects": str(cluster.objects + 2)},
    }  # fmt: skip
    assert (await client.do("POST", "/api/v1/namespaces/kube-system/configmaps", limits)).code == 201
    reply = await send(client, apply(config_map("a")), apply(config_map("b")))
    assert reply.code == 403 and "limit of this logical cluster" in reply.message
    assert outcomes(await send(client, apply(config_map("a")))) == ["Created"]


async def test_webhooks_are_asked_once_about_each_object() -> None:
    client = ApiClient(memory_shard(api_set="full", webhooks_at=["127.0.0.0/8", "::1/128"]))
    asked: list[tuple[str, bool]] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        asked.append((request["object"]["metadata"]["name"], request["dryRun"]))
        return {"allowed": request["object"]["data"]["k"] != "bad", "status": {"message": "bad it is", "code": 418}}

    async with webhook_server(reviewing(answer)) as server:
        await configure(client, "validating", hook(server, rules=[RULE]))
        assert outcomes(await send(client, *(apply(config_map(name)) for name in "abc"))) == ["Created"] * 3
        assert asked == [(name, False) for name in "abc"]
        refused = await send(client, apply(config_map("d")), apply(config_map("e", "bad")))
        assert refused.code == 418 and refused.message.startswith('spec.operations[1] (Apply configmaps "e"): ')
        assert refused.json["details"]["causes"][-1]["field"] == "spec.operations[1]"
        assert await names(client) == ["a", "b", "c"]
        asked.clear()
        assert (await send(client, apply(config_map("d")), query="?fieldManager=me&dryRun=All")).code == 201
        assert asked == [("d", True)]
    await client.shard.callouts.close()
    await client.shard.store.close()


@pytest.mark.parametrize("is_born_again", [False, True])
async def test_a_logical_cluster_that_goes_while_webhooks_are_asked(is_born_again: bool) -> None:
    client = ApiClient(memory_shard(api_set="full", webhooks_at=["127.0.0.0/8", "::1/128"]))
    store = client.shard.store

    def answer(_request: dict[str, Any]) -> dict[str, Any]:
        cluster = store.pending_cluster("root")
        assert cluster is not None
        store.remove_cluster(cluster, ())
        if is_born_again:
            births.bear(client.shard, "root")
        return {"allowed": True}

    async with webhook_server(reviewing(answer)) as server:
        await configure(client, "validating", hook(server, rules=[RULE]))
        reply = await send(client, apply(config_map("a")))
    assert (reply.code, reply.json["reason"]) == (409, "Conflict") and "was deleted" in reply.message
    await client.shard.callouts.close()
    await store.close()

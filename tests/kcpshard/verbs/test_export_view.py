"""The exporter's view: what is in it, who may see it, and what permission claims allow."""

import asyncio
from typing import Any

import orjson
import pytest

from kcpshard.api.proofs import ClaimedObject, Proof
from kcpshard.api.requests import Identity
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap
from tests.contracts.shards_tier import shown
from tests.contracts.shared_apis import ACCEPTED, CLAIM, WIDGETS, SharedApis, shared, widget
from tests.contracts.watch_tier import Reader
from tests.contracts.workspace_tree import RBAC
from tests.contracts.workspace_tree import binding as role_binding

__all__ = ["shared"]
EVERYWHERE = "/apis/example.com/v1/widgets"
ANN = Identity("ann", "", ("system:authenticated",))
BY_LABEL = {**ACCEPTED, "selector": {"matchLabels": {"for": "exporter"}}}


def read(result: Any) -> Any:
    return orjson.loads(result.body)


async def content(shared: SharedApis, *verbs: str) -> ApiClient:
    """Ann may do that in the view."""
    rule = {"apiGroups": ["apis.kcp.io"], "resources": ["apiexports/content"], "verbs": list(verbs)}
    role = {"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "view"}}
    await shared.exporter.create(f"{RBAC}/clusterroles", {**role, "rules": [rule]})
    await shared.exporter.create(f"{RBAC}/clusterrolebindings", role_binding("view", "view", "ann"))
    return ApiClient(shared.exporter.shard, "exporter", ANN)


async def test_all_that_bind_and_nobody_else(shared: SharedApis) -> None:
    await shared.publish()
    other = shared.tier.client("other")
    await shared.bind()
    await shared.bind(other)
    await shared.consumer.create(WIDGETS, widget("a"))
    await other.create(WIDGETS, widget("b"))
    found = await shared.list_view(EVERYWHERE)
    assert sorted(shown(found["items"])) == ["consumer/a", "other/b"]
    assert shown((await shared.list_view(EVERYWHERE, "other"))["items"]) == ["other/b"]
    assert (await shared.list_view(EVERYWHERE, "exporter"))["items"] == []


async def test_reading_and_writing_one_object(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    made = await shared.through_view("POST", WIDGETS, body=widget())
    assert made.code == 201
    changed = await shared.through_view("PATCH", f"{WIDGETS}/w/status", body={"status": {"ready": True}})
    assert changed.code == 200, changed.body
    assert (await shared.consumer.get(f"{WIDGETS}/w"))["spec"] == {"size": 1}
    assert (await shared.through_view("DELETE", f"{WIDGETS}/w")).code == 200
    assert (await shared.consumer.do("GET", f"{WIDGETS}/w")).code == 404
    assert (await shared.through_view("GET", f"{WIDGETS}/w", "exporter")).code == 404


async def test_what_is_not_bound_or_claimed_is_not_there(shared: SharedApis) -> None:
    await shared.publish(permissionClaims=[CLAIM])
    await shared.bind()
    await shared.consumer.create(CONFIGMAPS, configmap("private"))
    assert (await shared.through_view("GET", f"{CONFIGMAPS}/private")).code == 404
    assert (await shared.list_view("/api/v1/configmaps"))["items"] == []
    assert (await shared.list_view("/api/v1/secrets"))["items"] == []


async def test_claims_that_are_accepted(shared: SharedApis) -> None:
    reading = {**CLAIM, "verbs": ["get", "list"]}
    await shared.publish(permissionClaims=[reading])
    await shared.bind(claims=[ACCEPTED])
    await shared.consumer.create(CONFIGMAPS, configmap("c"))
    assert read(await shared.through_view("GET", f"{CONFIGMAPS}/c"))["metadata"]["name"] == "c"
    assert "consumer/c" in shown((await shared.list_view("/api/v1/configmaps"))["items"])
    refused = await shared.through_view("DELETE", f"{CONFIGMAPS}/c")
    assert refused.code == 403 and b"permission claim" in refused.body


async def test_a_claim_on_a_part(shared: SharedApis) -> None:
    await shared.publish(permissionClaims=[CLAIM])
    await shared.bind(claims=[BY_LABEL])
    mine = {"for": "exporter"}
    await shared.consumer.create(CONFIGMAPS, configmap("theirs"))
    await shared.consumer.create(CONFIGMAPS, configmap("shared", labels=mine))
    assert shown((await shared.list_view("/api/v1/configmaps"))["items"]) == ["consumer/shared"]
    assert (await shared.through_view("GET", f"{CONFIGMAPS}/shared")).code == 200
    assert (await shared.through_view("GET", f"{CONFIGMAPS}/theirs")).code == 404
    assert (await shared.through_view("DELETE", f"{CONFIGMAPS}/theirs")).code == 404
    assert (await shared.through_view("POST", CONFIGMAPS, body=configmap("new"))).code == 403
    assert (await shared.through_view("POST", CONFIGMAPS, body=configmap("new", labels=mine))).code == 201
    assert (await shared.through_view("DELETE", CONFIGMAPS)).code == 403


async def test_who_may_is_the_exporters_to_say(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    await shared.consumer.create(WIDGETS, widget())
    nobody = ApiClient(shared.exporter.shard, "exporter", ANN)
    assert (await shared.through_view("GET", f"{WIDGETS}/w", client=nobody)).code == 403
    assert (await shared.list_view(EVERYWHERE, client=nobody))["code"] == 403
    ann = await content(shared, "get", "list")
    shared.consumer.shard.directory._kept.clear()
    for member in shared.tier.members.values():
        member.shard.directory._kept.clear()
    assert (await shared.through_view("GET", f"{WIDGETS}/w", client=ann)).code == 200
    assert shown((await shared.list_view(EVERYWHERE, client=ann))["items"]) == ["consumer/w"]
    assert (await shared.through_view("DELETE", f"{WIDGETS}/w", client=ann)).code == 403
    assert (await ApiClient(shared.consumer.shard, "consumer", ANN).do("GET", f"{WIDGETS}/w")).code == 403


async def test_a_credential_that_is_worth_nothing_any_more(shared: SharedApis) -> None:
    await shared.publish()
    await shared.bind()
    cluster = shared.exporter.shard.store.find_cluster("exporter")
    assert cluster is not None
    account = Identity("system:serviceaccount:default:x", "", ("system:masters",), {}, cluster.id)
    request = ApiClient(shared.exporter.shard, "consumer", account).request("GET", f"{WIDGETS}/w")
    request.view = b'["exporter","widgets"]'
    later = asyncio.get_running_loop().time() + 10
    assert (await shared.tier.router.call(request, later)).code == 404, "let in, and there is no such object"
    gone = ClaimedObject("serviceaccounts", "default", "x", "some-uid")
    request.proof = Proof(cluster.id, (gone,)).encode()
    assert (await shared.tier.router.call(request, later)).code in (401, 403)


async def test_a_watch_of_the_view(shared: SharedApis) -> None:
    await shared.publish(permissionClaims=[CLAIM])
    await shared.bind(claims=[BY_LABEL])
    reader, claimed = Reader(), Reader()
    view = b'["exporter","widgets"]'
    shared.tier.start(reader, group="example.com", resource="widgets", initial=True, view=view)
    shared.tier.start(claimed, resource="configmaps", initial=True, view=view)
    await shared.consumer.create(WIDGETS, widget("seen"))
    await reader.saw("ADDED seen")
    await shared.consumer.create(CONFIGMAPS, configmap("hidden"))
    await shared.consumer.create(CONFIGMAPS, configmap("c", labels={"for": "exporter"}))
    await claimed.saw("ADDED c")
    await shared.consumer.patch(f"{CONFIGMAPS}/c", {"metadata": {"labels": {"for": "nobody"}}})
    await claimed.saw("ADDED c", "DELETED c")
    other = shared.tier.client("other")
    await shared.bind(other)
    await other.create(WIDGETS, widget("later"))
    await reader.saw("ADDED seen", "ADDED later")


@pytest.mark.parametrize("path", ["/apis", "/apis/example.com/v1", "/api/v1"])
async def test_impersonation_is_refused(shared: SharedApis, path: str) -> None:
    await shared.publish()
    asking = ApiClient(shared.exporter.shard, "exporter").request("GET", "/api/v1/namespaces/default/configmaps/a")
    asking.view, asking.impersonation = b'["exporter","widgets"]', b'{"username":"ann"}'
    assert (await shared.exporter.send(asking)).code == 403

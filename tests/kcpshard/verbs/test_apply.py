import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.verbs.apply import LAST_APPLIED
from tests.contracts.api_client import CONFIGMAPS, ApiClient, Reply, configmap, memory_shard

APPLY = "application/apply-patch+yaml"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    client = ApiClient(memory_shard())
    yield client
    await client.shard.store.close()


async def apply(client: ApiClient, body: Any, query: str = "fieldManager=m", name: str = "x") -> Reply:
    return await client.do("PATCH", f"{CONFIGMAPS}/{name}?{query}", body, APPLY)


def owners(document: Any) -> dict[str, Any]:
    return {e["manager"]: e["fieldsV1"] for e in document["metadata"]["managedFields"]}


async def test_apply_creates_once_and_then_changes_nothing(client: ApiClient) -> None:
    first = await apply(client, configmap("x", {"a": "1"}))
    assert (first.code, owners(first.json)) == (201, {"m": {"f:data": {"f:a": {}}}})
    second = await apply(client, configmap("x", {"a": "1"}))
    assert (second.code, second.json) == (200, first.json)


async def test_what_one_apply_was_given_by_default_is_not_there_for_the_next() -> None:
    client = ApiClient(memory_shard(api_set="full"))
    container = {"name": "c", "image": "i"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    path = "/apis/apps/v1/namespaces/default/deployments"
    for name, more in (("first", {}), ("second", {"strategy": {"type": "Recreate"}})):
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {**spec, **more}}
        made = await client.do("PATCH", f"{path}/{name}?fieldManager=m", body, APPLY)
        assert made.code == 201, made.message
    assert made.json["spec"]["strategy"] == {"type": "Recreate"}
    await client.shard.store.close()


async def test_what_is_no_longer_applied_goes_unless_another_owns_it(client: ApiClient) -> None:
    await apply(client, configmap("x", {"mine": "1", "shared": "1"}))
    await apply(client, configmap("x", {"shared": "1"}), "fieldManager=other")
    left = await apply(client, configmap("x"))
    assert left.json["data"] == {"shared": "1"}
    assert list(owners(left.json)) == ["other"]


async def test_a_conflict_names_fields_and_owners_until_forced(client: ApiClient) -> None:
    await client.do("POST", f"{CONFIGMAPS}?fieldManager=creator", configmap("x", {"a": "1"}))
    refused = await apply(client, configmap("x", {"a": "2"}))
    assert refused.code == 409
    assert refused.message == 'Apply failed with 1 conflict: conflict with "creator" using v1: .data.a'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "creator" using v1', "field": ".data.a"}
    assert refused.json["details"]["causes"] == [cause]
    forced = await apply(client, configmap("x", {"a": "2"}), "fieldManager=m&force=true")
    assert owners(forced.json)["m"] == {"f:data": {"f:a": {}}}
    assert owners(forced.json)["creator"] == {"f:data": {}}


@pytest.mark.parametrize(
    ("body", "query", "code", "message"),
    [
        pytest.param(configmap("x"), "", 422, "is required for apply patch", id="no manager"),
        pytest.param("null", "fieldManager=m", 400, "invalid object type: /, Kind=", id="nothing"),
        pytest.param(
            {"apiVersion": "v2", "kind": "ConfigMap"}, "fieldManager=m", 400, "invalid object type: /v2", id="v2"
        ),
        pytest.param([1], "fieldManager=m", 400, "cannot unmarshal array into Go value", id="no object"),
        pytest.param(
            configmap("x", managedFields=[]), "fieldManager=m", 400, "managedFields must be nil", id="entries"
        ),
        pytest.param(configmap("y"), "fieldManager=m", 400, "(y) does not match the name on the URL (x)", id="name"),
        pytest.param(configmap(), "fieldManager=m", 400, "name must be provided", id="no name to create"),
        pytest.param(configmap("x", namespace="else"), "fieldManager=m", 400, "the namespace of the", id="namespace"),
        pytest.param(
            configmap("x") | {"foo": 1},
            "fieldManager=m",
            400,
            "failed to create typed patch object (/x; /v1, Kind=ConfigMap): .foo: field not declared in schema",
            id="undeclared field",
        ),
    ],
)
async def test_refusals(client: ApiClient, body: Any, query: str, code: int, message: str) -> None:
    reply = await apply(client, body, query)
    assert reply.code == code
    assert message in reply.message


async def test_a_resource_version_is_a_precondition(client: ApiClient) -> None:
    first = (await apply(client, configmap("x", {"a": "1"}))).json["metadata"]["resourceVersion"]
    assert (await apply(client, configmap("x", {"a": "2"}, resourceVersion=first))).code == 200
    late = await apply(client, configmap("x", {"a": "3"}, resourceVersion=first))
    assert (late.code, late.json["reason"]) == (409, "Conflict")


async def test_a_dry_run_stores_nothing(client: ApiClient) -> None:
    assert (await apply(client, configmap("x", {"a": "1"}), "fieldManager=m&dryRun=All")).code == 201
    assert (await client.do("GET", f"{CONFIGMAPS}/x")).code == 404


async def test_a_subresource_is_applied_but_not_created(client: ApiClient) -> None:
    quotas = "/api/v1/namespaces/default/resourcequotas"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "status": {"hard": {"pods": "1"}}}
    assert (await client.do("PATCH", f"{quotas}/q/status?fieldManager=m", quota, APPLY)).code == 404
    await client.create(quotas, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}})
    done = (await client.do("PATCH", f"{quotas}/q/status?fieldManager=m", quota, APPLY)).json
    assert (done["status"], done["spec"]) == ({"hard": {"pods": "1"}}, {"hard": {"pods": "2"}})
    assert owners(done)["m"] == {"f:status": {"f:hard": {"f:pods": {}}}}


async def test_kubectl_takes_over_what_it_applied_from_the_client_side(client: ApiClient) -> None:
    note = json.dumps(configmap("x", {"a": "1"}))
    await client.do(
        "POST",
        f"{CONFIGMAPS}?fieldManager=kubectl-client-side-apply",
        configmap("x", {"a": "1", "b": "1"}, annotations={LAST_APPLIED: note}),
    )
    stranger = await apply(client, configmap("x", {"a": "2"}), "fieldManager=stranger")
    assert stranger.code == 409
    foreign = await apply(client, configmap("x", {"a": "2", "b": "2"}), "fieldManager=kubectl")
    assert foreign.message.endswith(".data.b")
    taken = await apply(client, configmap("x", {"a": "2"}), "fieldManager=kubectl")
    assert taken.json["data"] == {"a": "2", "b": "1"}
    assert json.loads(taken.json["metadata"]["annotations"][LAST_APPLIED]) == configmap("x", {"a": "2"})

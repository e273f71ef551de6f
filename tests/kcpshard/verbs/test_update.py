from typing import Any

import pytest

from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap
from tests.contracts.custom_types import WIDGETS, established, version, widget

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


@pytest.fixture
async def stored(client: ApiClient) -> dict[str, Any]:
    found: dict[str, Any] = await client.create(CONFIGMAPS, configmap("a", {"k": "v"}, labels={"x": "y"}))
    return found


async def test_an_update_replaces(client: ApiClient, stored: dict[str, Any]) -> None:
    reply = await client.do("PUT", CONFIGMAPS + "/a", configmap("a", {"n": "1"}))
    meta = reply.json["metadata"]
    assert (reply.code, reply.json["data"], "labels" in meta) == (200, {"n": "1"}, False)
    assert int(meta["resourceVersion"]) > int(stored["metadata"]["resourceVersion"])
    assert (meta["uid"], meta["creationTimestamp"]) == (
        stored["metadata"]["uid"],
        stored["metadata"]["creationTimestamp"],
    )


async def test_no_change_writes_nothing(client: ApiClient, stored: dict[str, Any]) -> None:
    before = client.shard.store.pending_revision
    reply = await client.do("PUT", CONFIGMAPS + "/a", configmap("a", {"k": "v"}, labels={"x": "y"}))
    assert reply.json == stored
    assert client.shard.store.pending_revision == before and not reply.waited


async def test_no_change_of_what_is_not_durable_waits(client: ApiClient) -> None:
    dispatch(client.shard, client.request("POST", CONFIGMAPS, configmap("b")))
    assert (await client.do("PUT", CONFIGMAPS + "/b", configmap("b"))).waited


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        pytest.param(
            configmap("b"), 400, "the name of the object (b) does not match the name on the URL (a)", id="name"
        ),
        pytest.param(
            {}, 400, "the name of the object (a based on URL) was undeterminable: name must be provided", id="no name"
        ),
        pytest.param(configmap("a", namespace="x"), 400, "the namespace of the provided object", id="namespace"),
        pytest.param(
            configmap("a", resourceVersion="1"), 409, "the object has been modified; please apply", id="version"
        ),
        pytest.param(configmap("a", resourceVersion="x"), 400, 'strconv.ParseUint: parsing "x"', id="no number"),
        pytest.param(configmap("a", uid="x"), 409, "Precondition failed: UID in precondition: x", id="uid"),
        pytest.param(
            configmap("a", deletionTimestamp="2020-01-01T00:00:00Z"), 422, "field is immutable", id="deletion"
        ),
        pytest.param(configmap("a", labels={"a b": ""}), 422, "metadata.labels: Invalid value", id="label"),
    ],
)
async def test_refusals(client: ApiClient, stored: dict[str, Any], body: Any, code: int, message: str) -> None:
    reply = await client.do("PUT", CONFIGMAPS + "/a", body)
    assert reply.code == code
    assert message in reply.message
    assert await client.get(CONFIGMAPS + "/a") == stored


async def test_the_right_version_is_accepted_once(client: ApiClient, stored: dict[str, Any]) -> None:
    version = stored["metadata"]["resourceVersion"]
    assert (await client.do("PUT", CONFIGMAPS + "/a", configmap("a", {"n": "1"}, resourceVersion=version))).code == 200
    assert (await client.do("PUT", CONFIGMAPS + "/a", configmap("a", {"n": "2"}, resourceVersion=version))).code == 409


async def test_of_two_updates_in_one_turn_one_wins(client: ApiClient, stored: dict[str, Any]) -> None:
    version = stored["metadata"]["resourceVersion"]
    dispatch(
        client.shard, client.request("PUT", CONFIGMAPS + "/a", configmap("a", {"n": "1"}, resourceVersion=version))
    )
    assert (await client.do("PUT", CONFIGMAPS + "/a", configmap("a", {"n": "2"}, resourceVersion=version))).code == 409


async def test_missing_objects(client: ApiClient) -> None:
    assert (await client.do("PUT", CONFIGMAPS + "/nope", configmap("nope"))).code == 404
    lease = {"metadata": {"name": "l", "resourceVersion": "5"}, "spec": {"holderIdentity": "me"}}
    assert (await client.do("PUT", LEASES + "/l", lease)).code == 201
    conditional = await client.do("PUT", LEASES + "/l", {"metadata": {"name": "l"}, "spec": {}})
    assert (conditional.code, "must be specified for an update" in conditional.message) == (422, True)


async def test_dry_run(client: ApiClient, stored: dict[str, Any]) -> None:
    reply = await client.do("PUT", CONFIGMAPS + "/a?dryRun=All", configmap("a", {"n": "1"}))
    assert reply.json["data"] == {"n": "1"}
    assert reply.json["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]
    assert await client.get(CONFIGMAPS + "/a") == stored


async def test_the_last_finalizer_lets_a_deleted_object_go(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("b", finalizers=["x.com/a", "x.com/b"]))
    going = (await client.do("DELETE", CONFIGMAPS + "/b")).json
    added = await client.do("PUT", CONFIGMAPS + "/b", configmap("b", finalizers=["x.com/a", "x.com/c"]))
    assert (added.code, "no new finalizers can be added" in added.message) == (422, True)
    one = await client.do("PUT", CONFIGMAPS + "/b", configmap("b", finalizers=["x.com/a"]))
    assert one.json["metadata"]["deletionTimestamp"] == going["metadata"]["deletionTimestamp"]
    dry = await client.do("PUT", CONFIGMAPS + "/b?dryRun=All", configmap("b"))
    last = await client.do("PUT", CONFIGMAPS + "/b", configmap("b"))
    assert dry.code == last.code == 200
    assert last.json["metadata"]["resourceVersion"] == one.json["metadata"]["resourceVersion"]
    assert (await client.do("GET", CONFIGMAPS + "/b")).code == 404


async def test_true_in_the_place_of_one_is_a_change() -> None:
    free = {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    async with established(version(schema=free)) as client:
        made = await client.create(WIDGETS, widget("w", {"a": {"b": [1]}}))
        changed = await client.patch(f"{WIDGETS}/w", {"spec": {"a": {"b": [True]}}})
        assert changed["spec"] == {"a": {"b": [True]}} and changed["spec"]["a"]["b"][0] is True
        assert changed["metadata"]["generation"] == 2
        assert changed["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
        again = await client.patch(f"{WIDGETS}/w", {"spec": {"a": {"b": [True]}}})
        assert again["metadata"] == changed["metadata"]

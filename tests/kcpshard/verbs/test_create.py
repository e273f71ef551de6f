import re
from typing import Any

import pytest

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs import metadata
from kcpshard.verbs.dispatch import dispatch
from kcpshard.verbs.outcome import AfterSync
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap


async def test_a_created_object_is_complete(client: ApiClient) -> None:
    reply = await client.do("POST", CONFIGMAPS, configmap("a", {"k": "v"}, labels={"x": "y"}))
    meta = reply.json["metadata"]
    assert (reply.code, reply.waited) == (201, True)
    assert (meta["name"], meta["namespace"], meta["labels"]) == ("a", "default", {"x": "y"})
    assert re.fullmatch(r"[0-9]{19}", meta["resourceVersion"])
    assert re.fullmatch(r"[0-9a-f-]{36}", meta["uid"])
    assert meta["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert reply.json["data"] == {"k": "v"}


async def test_what_only_the_server_sets_is_dropped(client: ApiClient) -> None:
    given = {
        "uid": "u",
        "creationTimestamp": "2020-01-01T00:00:00Z",
        "selfLink": "x",
        "managedFields": [{}],
        "deletionTimestamp": "2020-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 5,
    }
    meta = (await client.create(CONFIGMAPS, configmap("a", **given)))["metadata"]
    assert meta.keys() == {"name", "namespace", "resourceVersion", "uid", "creationTimestamp"}
    assert meta["uid"] != "u" and meta["creationTimestamp"] != given["creationTimestamp"]


@pytest.mark.parametrize(
    ("url", "body", "code", "message"),
    [
        pytest.param(
            CONFIGMAPS, configmap("A_b"), 422, 'ConfigMap "A_b" is invalid: metadata.name: Inv', id="bad name"
        ),
        pytest.param(
            CONFIGMAPS, configmap(), 422, "metadata.name: Required value: name or generateName is", id="no name"
        ),
        pytest.param(
            CONFIGMAPS,
            configmap("a", namespace="x"),
            400,
            "the namespace of the provided object does not match",
            id="namespace mismatch",
        ),
        pytest.param(
            "/api/v1/namespaces/nope/configmaps",
            configmap("a"),
            404,
            'namespaces "nope" not found',
            id="unknown namespace",
        ),
        pytest.param(
            "/api/v1/namespaces/nope/configmaps",
            configmap("A_b"),
            404,
            'namespaces "nope" not found',
            id="the namespace is looked at before the object",
        ),
        pytest.param("/api/v1/configmaps", configmap("a"), 405, "does not allow this method", id="no namespace"),
        pytest.param(CONFIGMAPS + "/a", configmap("a"), 405, "does not allow this method", id="on an object"),
        pytest.param(
            CONFIGMAPS,
            configmap("a", resourceVersion="5"),
            400,
            "resourceVersion should not be set on objects",
            id="resourceVersion",
        ),
        pytest.param(CONFIGMAPS + "?fieldValidation=x", configmap("a"), 422, "CreateOptions.meta.k8s.io", id="options"),
        pytest.param(
            "/api/v1/namespaces/default/leases", {}, 404, "could not find the requested resource", id="unknown type"
        ),
    ],
)
async def test_refusals(client: ApiClient, url: str, body: Any, code: int, message: str) -> None:
    reply = await client.do("POST", url, body)
    assert reply.code == code
    assert message in reply.message


async def test_a_taken_name(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    reply = await client.do("POST", CONFIGMAPS, configmap("a"))
    assert (reply.code, reply.json["reason"]) == (409, "AlreadyExists")
    assert reply.message == 'configmaps "a" already exists'


async def test_the_name_is_taken_before_it_is_durable(client: ApiClient) -> None:
    dispatch(client.shard, client.request("POST", CONFIGMAPS, configmap("a")))
    assert (await client.do("POST", CONFIGMAPS, configmap("a"))).code == 409


async def test_generated_names(client: ApiClient) -> None:
    names = {(await client.create(CONFIGMAPS, configmap(generateName="job-")))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(re.fullmatch("job-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)


async def test_generated_names_are_tried_eight_times(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def suffix(base: str) -> str:
        tried.append(base)
        return base + ("taken" if len(tried) < 9 else "free")

    await client.create(CONFIGMAPS, configmap("job-taken"))
    monkeypatch.setattr(metadata, "generated_name", suffix)
    reply = await client.do("POST", CONFIGMAPS, configmap(generateName="job-"))
    assert (reply.code, reply.answer.retry_after_s, len(tried)) == (409, 1, 8)
    assert "was not able to generate a unique name" in reply.message
    assert (await client.do("POST", CONFIGMAPS, configmap(generateName="job-"))).code == 201


async def test_dry_run_stores_nothing(client: ApiClient) -> None:
    reply = await client.do("POST", CONFIGMAPS + "?dryRun=All", configmap("a", {"k": "v"}))
    assert reply.code == 201 and "resourceVersion" not in reply.json["metadata"]
    assert client.shard.store.pending_cluster("root") is None
    await client.create(CONFIGMAPS, configmap("a"))
    assert (await client.do("POST", CONFIGMAPS + "?dryRun=All", configmap("a"))).code == 409


async def test_duplicate_owners_are_warned_about(client: ApiClient) -> None:
    owner = {"apiVersion": "v1", "kind": "x", "name": "e", "uid": "u"}
    reply = await client.do("POST", CONFIGMAPS, configmap("a", ownerReferences=[owner, owner]))
    assert reply.json["metadata"]["ownerReferences"] == [owner]
    assert "duplicate UID(s) observed: u" in reply.answer.warnings[0]


async def test_a_repeat_gets_the_first_answer(client: ApiClient) -> None:
    request = client.request("POST", CONFIGMAPS, configmap("a"))
    request.request_id = b"0123456789abcdef"
    first = await client.send(request)
    again = pb.Request()
    again.CopyFrom(request)
    again.repeat, again.first_sent_us = True, client.shard.now_us() - 1_000_000
    second = await client.send(again)
    assert (second.code, second.answer.body) == (201, first.answer.body)


async def test_a_create_is_answered_after_the_sync(client: ApiClient) -> None:
    assert isinstance(dispatch(client.shard, client.request("POST", CONFIGMAPS, configmap("a"))), AfterSync)


async def test_another_version_is_stored_in_the_storage_version(client: ApiClient) -> None:
    url = "/apis/events.k8s.io/v1/namespaces/default/events"
    event = {
        "metadata": {"name": "e"},
        "note": "m",
        "eventTime": "2023-11-14T22:13:20.000000Z",
        "action": "a",
        "reason": "r",
        "type": "Normal",
        "reportingController": "example.com/c",
        "reportingInstance": "i",
        "regarding": {"namespace": "default"},
    }
    assert (await client.create(url, event))["apiVersion"] == "events.k8s.io/v1"
    assert (await client.get("/api/v1/namespaces/default/events/e"))["message"] == "m"


async def test_generation_begins_at_one(client: ApiClient) -> None:
    crd = {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"plural": "things", "kind": "Thing", "singular": "thing"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    found = await client.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    resource = client.shard.catalog.find(None, "apiextensions.k8s.io", "v1", "customresourcedefinitions")
    assert resource is not None
    assert found["metadata"].get("generation") == (1 if resource.strategy.has_generation() else None)

"""Custom types whose versions a webhook converts, through the verbs."""

from typing import Any

import pytest

from kcpshard.api.unconverted import NotConverted
from kcpshard.callouts.addresses import AddressPolicy
from kcpshard.callouts.calls import Callouts
from kcpshard.definitions import webhook_conversion
from kcpshard.definitions.webhook_conversion import Conversion, WebhookConversions
from kcpshard.storage import envelope
from tests.contracts.api_client import MERGE
from tests.contracts.converting import (
    BREAKING,
    ENDPOINTS_V1,
    ENDPOINTS_V2,
    changed_metadata,
    changed_response,
    converting,
    ending,
)
from tests.contracts.custom_types import CRDS


@pytest.mark.parametrize("review_version", ["v1", "v1beta1"])
async def test_an_object_is_read_in_another_version(review_version: str) -> None:
    async with converting(review_versions=(review_version,)) as it:
        await it.client.create(ENDPOINTS_V1, ending("v1", "a", labels={"x": "y"}))
        assert not it.server.asked  # the stored version needs nobody
        found = await it.client.get(f"{ENDPOINTS_V2}/a")
        assert found["spec"] == {"host": "localhost", "port": "8080"}
        assert found["metadata"]["labels"] == {"x": "y"}
        (asked,) = it.server.asked
        assert asked.path == "/convert?timeout=30s"
        assert asked.json["apiVersion"] == f"apiextensions.k8s.io/{review_version}"
        assert await it.client.get(f"{ENDPOINTS_V2}/a") == found


async def test_an_object_is_written_in_another_version() -> None:
    async with converting() as it:
        made = await it.client.create(ENDPOINTS_V2, ending("v2", "a"))
        assert made["apiVersion"] == "example.com/v2"
        assert made["spec"] == {"host": "localhost", "port": "8080"}
        stored = await it.client.get(f"{ENDPOINTS_V1}/a")
        assert stored["spec"] == {"hostPort": "localhost:8080"}
        assert stored["metadata"]["uid"] == made["metadata"]["uid"]
        assert stored["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        assert it.reviews() == [1, 1]  # to the stored version, and back for the answer
        changed = await it.client.patch(f"{ENDPOINTS_V2}/a", {"spec": {"port": "9"}}, MERGE)
        assert (changed["spec"], changed["metadata"]["generation"]) == ({"host": "localhost", "port": "9"}, 2)
        assert (await it.client.get(f"{ENDPOINTS_V1}/a"))["spec"] == {"hostPort": "localhost:9"}
        assert (await it.client.do("DELETE", f"{ENDPOINTS_V2}/a")).code == 200


async def test_a_generated_name_does_not_keep_it_from_being_created() -> None:
    async with converting() as it:
        given = ending("v2", "a", generateName="a-")
        del given["metadata"]["name"]
        made = await it.client.create(ENDPOINTS_V2, given)
        assert made["metadata"]["name"].startswith("a-")


async def test_a_list_is_one_review() -> None:
    async with converting() as it:
        for number in range(30):
            one = ending("v1", f"a{number:02}")
            one["spec"]["hostPort"] = f"host:{number}"
            await it.client.create(ENDPOINTS_V1, one)
        found = await it.client.do("GET", ENDPOINTS_V2)
        assert [item["spec"]["port"] for item in found.json["items"]] == [str(n) for n in range(30)]
        assert it.reviews() == [30]
        assert len((await it.client.do("GET", f"{ENDPOINTS_V2}?limit=7")).names) == 7
        assert (await it.client.do("DELETE", ENDPOINTS_V2)).code == 200
        assert (await it.client.do("GET", ENDPOINTS_V1)).names == []


async def test_apply_and_dry_run_in_another_version() -> None:
    async with converting() as it:
        url, apply = f"{ENDPOINTS_V2}/a?fieldManager=me", "application/apply-patch+yaml"
        await it.client.patch(url, ending("v2", "a"), apply)
        other = ending("v2", "a")
        other["spec"]["port"] = "9"
        shown = await it.client.patch(f"{url}&dryRun=All", other, apply)
        assert shown["spec"]["port"] == "9"
        assert (await it.client.get(f"{ENDPOINTS_V1}/a"))["spec"] == {"hostPort": "localhost:8080"}


@pytest.mark.parametrize("name", BREAKING)
async def test_what_a_webhook_may_not_answer(name: str) -> None:
    answering, text = BREAKING[name]
    async with converting(answering) as it:
        await it.client.create(ENDPOINTS_V1, ending("v1", "a"))
        for url in (f"{ENDPOINTS_V2}/a", ENDPOINTS_V2):
            reply = await it.client.do("GET", url)
            assert reply.code == 500
            assert reply.message.startswith(f"conversion webhook for example.com/v1, Kind=Ending {text}"), reply.message
        assert (await it.client.do("GET", f"{ENDPOINTS_V1}/a")).code == 200


async def test_metadata_is_put_back_but_for_labels_and_annotations() -> None:
    def answering(review: dict[str, Any]) -> Any:
        return changed_metadata(
            review, labels={"new": "yes"}, annotations=None, finalizers=["x/y"], generation=99, resourceVersion="1"
        )

    async with converting(answering) as it:
        made = await it.client.create(ENDPOINTS_V1, ending("v1", "a", annotations={"old": "yes"}))
        meta = (await it.client.get(f"{ENDPOINTS_V2}/a"))["metadata"]
        assert meta["labels"] == {"new": "yes"}
        assert "annotations" not in meta
        assert "finalizers" not in meta
        assert (meta["generation"], meta["resourceVersion"]) == (1, made["metadata"]["resourceVersion"])


async def test_a_write_is_not_made_when_the_webhook_refuses() -> None:
    async with converting(lambda r: changed_response(r, result={"status": "Failure", "message": "no"})) as it:
        assert (await it.client.do("POST", ENDPOINTS_V2, ending("v2", "a"))).code == 500
        assert (await it.client.do("GET", f"{ENDPOINTS_V1}/a")).code == 404


def conversions(monkeypatch: pytest.MonkeyPatch) -> WebhookConversions:
    monkeypatch.setattr(webhook_conversion, "KEPT_BYTES", 10_000)
    return WebhookConversions(Callouts(AddressPolicy()), lambda: 0.0)


def test_one_logical_cluster_is_not_given_what_anothers_webhook_made(monkeypatch: pytest.MonkeyPatch) -> None:
    found = conversions(monkeypatch)
    mine, other = (Conversion(cluster, "d", {}, ["v1"]) for cluster in (1, 2))
    obj = ending("v1", "a")
    found._keep(webhook_conversion._key(mine, obj, "example.com/v2"), ending("v2", "a"))
    assert found.converted(mine, obj, "example.com/v2")["spec"] == {"host": "localhost", "port": "8080"}
    with pytest.raises(NotConverted):
        found.converted(other, obj, "example.com/v2")


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    found, mine = conversions(monkeypatch), Conversion(1, "d", {}, ["v1"])
    for number in range(1000):
        obj = ending("v1", f"a{number}")
        found._keep(webhook_conversion._key(mine, obj, "example.com/v2"), ending("v2", f"a{number}"))
    assert found._bytes <= 10_000
    assert found.converted(mine, obj, "example.com/v2")


async def test_an_update_that_changes_nothing_migrates_to_the_storage_version() -> None:
    """What moves stored objects when the storage version has changed: kubectl get | kubectl replace."""
    async with converting() as it:
        client = it.client
        await client.create(ENDPOINTS_V1, ending("v1", "a"))
        crd = await client.get(f"{CRDS}/endings.example.com")
        for version in crd["spec"]["versions"]:
            version["storage"] = version["name"] == "v2"
        assert (await client.do("PUT", f"{CRDS}/endings.example.com", crd)).code == 200
        found = await client.get(f"{CRDS}/endings.example.com")
        assert found["status"]["storedVersions"] == ["v1", "v2"]
        cluster = client.shard.store.find_cluster("root")
        assert cluster is not None
        for url in (ENDPOINTS_V2, ENDPOINTS_V1):
            assert (await client.do("PUT", f"{url}/a", await client.get(f"{url}/a"))).code == 200
            value = client.shard.store.pending(cluster, "endings.example.com", "default", "a")
            assert value is not None
            assert envelope.api_version(value) == "example.com/v2"
        before = value
        assert (await client.do("PUT", f"{ENDPOINTS_V2}/a", await client.get(f"{ENDPOINTS_V2}/a"))).code == 200
        assert client.shard.store.pending(cluster, "endings.example.com", "default", "a") == before

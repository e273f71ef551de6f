"""Definitions in apiextensions.k8s.io/v1beta1, through the verbs and as values."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kcpshard.controllers.custom_definitions import CustomDefinitions
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.legacy_definitions import to_current, to_legacy
from tests.contracts.api_client import MERGE, ApiClient, memory_shard
from tests.contracts.custom_types import CRDS

OLD = "/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions"
COLUMN = {"name": "Spec", "type": "string", "JSONPath": ".spec.cronSpec"}


def old(**spec: Any) -> dict[str, Any]:
    """As manifests of the time look."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1beta1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com",
            "version": "v1",
            "scope": "Namespaced",
            "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "shortNames": ["ct"]},
            "additionalPrinterColumns": [COLUMN],
            "subresources": {"status": {}},
            "validation": {
                "openAPIV3Schema": {
                    "properties": {"spec": {"properties": {"cronSpec": {"type": "string"}, "replicas": {"minimum": 1}}}}
                }
            },
            **spec,
        },
    }


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    assert isinstance(found.shard.catalog, Catalog)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(CustomDefinitions(found.shard, found.shard.catalog).run())
        yield found
        task.cancel()
    await found.shard.store.close()


async def served(client: ApiClient) -> None:
    async with asyncio.timeout(60):
        while (await client.do("GET", "/apis/stable.example.com/v1/namespaces/default/crontabs")).code != 200:
            await asyncio.sleep(0)


async def test_an_old_manifest_serves_objects(client: ApiClient) -> None:
    reply = await client.do("POST", OLD, old())
    assert reply.code == 201, reply.json
    assert reply.json["apiVersion"] == "apiextensions.k8s.io/v1beta1"
    assert "deprecated" in reply.answer.warnings[0]
    await served(client)
    url = "/apis/stable.example.com/v1/namespaces/default/crontabs"
    body = {
        "apiVersion": "stable.example.com/v1",
        "kind": "CronTab",
        "metadata": {"name": "a"},
        "spec": {"cronSpec": "* *", "replicas": 3, "unknown": {"stays": True}},
    }
    assert (await client.create(url, body))["spec"] == body["spec"]
    assert (await client.do("POST", url, {**body, "metadata": {"name": "b"}, "spec": {"cronSpec": 5}})).code == 422


async def test_it_is_stored_and_shown_as_v1(client: ApiClient) -> None:
    await client.create(OLD, old(preserveUnknownFields=False))
    found = (await client.get(f"{CRDS}/crontabs.stable.example.com"))["spec"]
    (version,) = found["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1", True, True)
    assert version["additionalPrinterColumns"] == [{"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"}]
    assert version["subresources"] == {"status": {}}
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["type"] == schema["properties"]["spec"]["type"] == "object"
    assert "x-kubernetes-preserve-unknown-fields" not in schema
    assert not {"version", "validation", "JSONPath"} & found.keys()


async def test_an_old_client_goes_on_with_it(client: ApiClient) -> None:
    """As `kubectl apply` does: reads in its version, sends a patch, sees its own fields."""
    await client.create(OLD, old())
    await served(client)
    found = await client.get(f"{OLD}/crontabs.stable.example.com")
    assert found["spec"]["version"] == "v1"
    assert found["spec"]["additionalPrinterColumns"] == [COLUMN]
    assert found["spec"]["validation"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["cronSpec"]
    changed = [COLUMN, {"name": "Age", "type": "date", "JSONPath": ".metadata.creationTimestamp"}]
    patch = {"spec": {"additionalPrinterColumns": changed}}
    assert (await client.patch(f"{OLD}/crontabs.stable.example.com", patch, MERGE))["spec"][
        "additionalPrinterColumns"
    ] == changed
    unchanged = await client.patch(f"{OLD}/crontabs.stable.example.com", patch, MERGE)
    again = await client.patch(f"{OLD}/crontabs.stable.example.com", patch, MERGE)
    assert again["metadata"]["resourceVersion"] == unchanged["metadata"]["resourceVersion"]
    applied = await client.patch(
        f"{OLD}/crontabs.stable.example.com?fieldManager=me&force=true", old(), "application/apply-patch+yaml"
    )
    assert applied["spec"]["additionalPrinterColumns"] == [COLUMN]
    assert (await client.do("DELETE", f"{OLD}/crontabs.stable.example.com")).code == 200


async def test_faults_are_found(client: ApiClient) -> None:
    versions = [{"name": "v2", "served": True, "storage": True}]
    reply = await client.do("POST", OLD, old(versions=versions))
    assert reply.code == 422
    assert "spec.version: Invalid value" in reply.message
    assert (await client.do("POST", f"{OLD}?fieldValidation=Strict", old(unheard="of"))).code == 400


async def test_discovery_prefers_v1(client: ApiClient) -> None:
    found = client.shard.catalog.document(None, "/apis/apiextensions.k8s.io", "", "")
    assert found is not None
    text = found.body.decode()  # type: ignore[union-attr]
    assert '"preferredVersion":{"groupVersion":"apiextensions.k8s.io/v1","version":"v1"}' in text
    assert '"apiextensions.k8s.io/v1beta1"' in text


HOOK = {"url": "https://example.com/", "caBundle": "Cg=="}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"versions": [{"name": "v1", "served": True, "storage": True}]}, id="one version"),
        pytest.param(
            {
                "versions": [
                    {"name": "v2", "served": True, "storage": True, "additionalPrinterColumns": [COLUMN]},
                    {"name": "v1", "served": True, "storage": False},
                ],
                "additionalPrinterColumns": None,
            },
            id="versions that differ",
        ),
        pytest.param({"validation": None}, id="no schema"),
        pytest.param(
            {
                "conversion": {
                    "strategy": "Webhook",
                    "webhookClientConfig": HOOK,
                    "conversionReviewVersions": ["v1", "v1beta1"],
                },
                "preserveUnknownFields": False,
            },
            id="webhook",
        ),
    ],
)
def test_there_and_back_is_the_same(spec: dict[str, Any]) -> None:
    current = to_current(old(**spec))
    assert to_current(to_legacy(current)) == current


def test_a_webhook_is_moved() -> None:
    given = old(conversion={"strategy": "Webhook", "webhookClientConfig": HOOK})
    assert to_current(given)["spec"]["conversion"] == {
        "strategy": "Webhook",
        "webhook": {"clientConfig": HOOK, "conversionReviewVersions": ["v1beta1"]},
    }

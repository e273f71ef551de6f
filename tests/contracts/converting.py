"""A definition whose versions a webhook converts: v1 has spec.hostPort, v2 has spec.host and spec.port."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from kcpshard.controllers.custom_definitions import CustomDefinitions
from kcpshard.definitions.catalog import Catalog
from tests.contracts.api_client import ApiClient, memory_shard
from tests.contracts.custom_types import CRDS
from tests.contracts.webhook_server import Asked, Reply, WebhookServer, json_reply, webhook_server

ENDPOINTS_V1 = "/apis/example.com/v1/namespaces/default/endings"
ENDPOINTS_V2 = "/apis/example.com/v2/namespaces/default/endings"
Answering = Callable[[dict[str, Any]], Any]


def ending(version: str, name: str, **meta: Any) -> dict[str, Any]:
    spec = {"hostPort": "localhost:8080"} if version == "v1" else {"host": "localhost", "port": "8080"}
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Ending",
        "metadata": {"name": name, **meta},
        "spec": spec,
    }


def definition(
    client_config: dict[str, Any], review_versions: list[str], storage: str = "v1", selectable: bool = False
) -> dict[str, Any]:
    def version(name: str, *fields: str) -> dict[str, Any]:
        spec = {"type": "object", "properties": {field: {"type": "string"} for field in fields}}
        schema = {"type": "object", "properties": {"spec": spec}}
        found = {"name": name, "served": True, "storage": name == storage, "schema": {"openAPIV3Schema": schema}}
        return {**found, "selectableFields": [{"jsonPath": f".spec.{f}"} for f in fields]} if selectable else found

    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "endings.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "endings", "kind": "Ending"},
            "versions": [version("v1", "hostPort"), version("v2", "host", "port")],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {"clientConfig": client_config, "conversionReviewVersions": review_versions},
            },
        },
    }


def converted(obj: dict[str, Any], api_version: str) -> dict[str, Any]:
    spec = dict(obj["spec"])
    if api_version == "example.com/v2":
        spec["host"], _, spec["port"] = spec.pop("hostPort", ":").partition(":")
    else:
        spec["hostPort"] = f"{spec.pop('host', '')}:{spec.pop('port', '')}"
    return {**obj, "apiVersion": api_version, "spec": spec}


def answer(review: dict[str, Any]) -> dict[str, Any]:
    request = review["request"]
    objects = [converted(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
    response = {"uid": request["uid"], "convertedObjects": objects, "result": {"status": "Success"}}
    return {"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}


# What a webhook may not answer, and how the sentence begins that tells of it.
BREAKING: dict[str, tuple[Any, str]] = {
    "refused": (
        lambda r: changed_response(r, result={"status": "Failure", "message": "not today"}),
        "failed: not today",
    ),
    "no status": (
        lambda r: changed_response(r, result={}),
        "failed: response.result.status was '', not 'Success'",
    ),
    "another uid": (lambda r: changed_response(r, uid="x"), 'failed: expected response.uid="'),
    "too few": (lambda r: changed_response(r, convertedObjects=[]), "returned 0 objects, expected 1"),
    "a code": (lambda _r: (500, {}, b"oh no"), 'failed: an error on the server ("oh no") has prevented the request'),
    "no json": (lambda _r: (200, {}, b"hello"), "failed: couldn't get version/kind; json parse error"),
    "another kind of answer": (
        lambda _r: {"apiVersion": "v1", "kind": "Pod"},
        'failed: no kind "Pod" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"',
    ),
    "another version": (
        lambda r: changed_object(r, apiVersion="example.com/v1"),
        "returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v1)",
    ),
    "another kind": (
        lambda r: changed_object(r, kind="Beginning"),
        "returned invalid object at index 0: invalid kind (expected Ending, received Beginning)",
    ),
    "another name": (
        lambda r: changed_metadata(r, name="b"),
        "returned invalid object: must have the same name: a != b",
    ),
    "another namespace": (
        lambda r: changed_metadata(r, namespace="b"),
        "returned invalid object: must have the same namespace: default != b",
    ),
    "a bad label": (
        lambda r: changed_metadata(r, labels={"a b": "c"}),
        'returned invalid metadata: metadata.labels: Invalid value: "a b"',
    ),
    "labels of another type": (
        lambda r: changed_metadata(r, labels={"a": 1}),
        "returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted object",
    ),
}


def changed_response(review: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found = answer(review)
    found["response"].update(changes)
    return found


def changed_object(review: dict[str, Any], **changes: Any) -> dict[str, Any]:
    (obj,) = answer(review)["response"]["convertedObjects"]
    return changed_response(review, convertedObjects=[{**obj, **changes}])


def changed_metadata(review: dict[str, Any], **changes: Any) -> dict[str, Any]:
    (obj,) = answer(review)["response"]["convertedObjects"]
    return changed_object(review, metadata={**obj["metadata"], **changes})


class Converting(NamedTuple):
    client: ApiClient
    server: WebhookServer

    def reviews(self) -> list[int]:
        """How many objects each call had."""
        return [len(asked.json["request"]["objects"]) for asked in self.server.asked]


@asynccontextmanager
async def converting(
    answering: Answering = answer,
    review_versions: tuple[str, ...] = ("v1",),
    storage: str = "v1",
    selectable: bool = False,
) -> AsyncIterator[Converting]:
    def reply(asked: Asked) -> Reply:
        given = answering(asked.json)
        return given if isinstance(given, tuple) else json_reply(given)

    async with webhook_server(reply) as server, asyncio.TaskGroup() as tasks:
        client = ApiClient(memory_shard(webhooks_at=["127.0.0.0/8", "::1/128"]))
        catalog = client.shard.catalog
        assert isinstance(catalog, Catalog)
        task = tasks.create_task(CustomDefinitions(client.shard, catalog).run())
        hook = server.client_config("/convert")
        await client.create(CRDS, definition(hook, list(review_versions), storage, selectable))
        async with asyncio.timeout(60):
            while (await client.do("GET", ENDPOINTS_V1)).code != 200:
                await asyncio.sleep(0)
        yield Converting(client, server)
        task.cancel()
        await client.shard.callouts.close()
    await client.shard.store.close()

"""Webhooks of tests: a server whose answers a test gives, and their configurations."""

from collections.abc import Callable
from typing import Any

from tests.contracts.api_client import ApiClient
from tests.contracts.registrations import API, RULE
from tests.contracts.webhook_server import Asked, Reply, WebhookServer, json_reply

Review = Callable[[dict[str, Any]], dict[str, Any]]


def reviewing(review: Review) -> Callable[[Asked], Reply]:
    """`review` is given the AdmissionRequest and gives the response but for its uid."""

    def answer(asked: Asked) -> Reply:
        given = asked.json
        response = {"uid": given["request"]["uid"], **review(given["request"])}
        return json_reply({"apiVersion": given["apiVersion"], "kind": "AdmissionReview", "response": response})

    return answer


def hook(server: WebhookServer, name: str = "one", path: str = "/", **more: Any) -> dict[str, Any]:
    return {
        "name": f"{name}.example.com", "clientConfig": server.client_config(path), "rules": [RULE],
        "sideEffects": "None", "admissionReviewVersions": ["v1"], **more,
    }  # fmt: skip


async def configure(client: ApiClient, kind: str, *hooks: Any, name: str = "w") -> None:
    """`kind` is validating or mutating."""
    await client.create(f"{API}/{kind}webhookconfigurations", {"metadata": {"name": name}, "webhooks": list(hooks)})

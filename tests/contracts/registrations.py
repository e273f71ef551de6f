"""Policies and webhooks as tests register them, and what they need of a shard."""

from collections.abc import Sequence
from typing import Any

from tests.contracts.api_client import ApiClient

API = "/apis/admissionregistration.k8s.io/v1"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}


def constraints(rules: Sequence[Any] = (RULE,), **more: Any) -> Any:
    return {"resourceRules": list(rules), **more}


async def register(client: ApiClient, kind: str, name: str, spec: Any, **binding: Any) -> None:
    """A policy that takes ConfigMaps unless `spec` says otherwise, and its binding."""
    spec = {"matchConstraints": constraints(), **spec}
    await client.create(f"{API}/{kind}admissionpolicies", {"metadata": {"name": name}, "spec": spec})
    if kind == "validating":
        binding = {"validationActions": ["Deny"], **binding}
    bound = {"policyName": name, **binding}
    await client.create(f"{API}/{kind}admissionpolicybindings", {"metadata": {"name": name}, "spec": bound})


async def refusing(client: ApiClient, expression: str, name: str = "p", **binding: Any) -> None:
    """A validating policy that refuses what is not so."""
    await register(client, "validating", name, {"validations": [{"expression": expression}]}, **binding)

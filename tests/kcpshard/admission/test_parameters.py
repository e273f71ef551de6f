from typing import Any

import pytest

from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap
from tests.contracts.registrations import register

SECRETS = "/api/v1/namespaces/default/secrets"
SPEC = {
    "paramKind": {"apiVersion": "v1", "kind": "Secret"},
    "validations": [
        {"expression": "params.metadata.name == 'one'", "messageExpression": "string(params.metadata.name)"}
    ],
}


@pytest.mark.parametrize(
    ("ref", "wanted"),
    [
        pytest.param({"name": "one", "parameterNotFoundAction": "Deny"}, "", id="by name"),
        pytest.param({"selector": {}, "parameterNotFoundAction": "Deny"}, "denied request: two", id="each of several"),
        pytest.param({"name": "gone", "parameterNotFoundAction": "Allow"}, "", id="none, allowed"),
        pytest.param({"name": "gone", "parameterNotFoundAction": "Deny"}, "no params found", id="none, denied"),
    ],
)
async def test_parameters(full: ApiClient, ref: Any, wanted: str) -> None:
    for name in ("one", "two"):
        await full.create(SECRETS, {"metadata": {"name": name}})
    await register(full, "validating", "p", SPEC, paramRef=ref)
    reply = await full.do("POST", CONFIGMAPS, configmap("a"))
    assert reply.code == (422 if wanted else 201)
    assert wanted in reply.message

from typing import Any

import pytest

from kcpshard.admission.certificate_requests import needed_right
from tests.contracts.api_client import ApiClient, memory_shard
from tests.kcpshard.certificate_requests import CLIENT_SIGNER, REQUESTS, signing_request


@pytest.mark.parametrize(
    ("subresource", "now", "before", "verb"),
    [
        ("approval", {}, {}, "approve"),
        ("status", {"certificate": "x"}, {}, "sign"),
        ("status", {"conditions": [{"type": "Failed"}]}, {}, "sign"),
        ("status", {"certificate": "x"}, {"certificate": "x"}, ""),
        ("", {}, {}, ""),
    ],
)
def test_which_right_a_change_needs(subresource: str, now: Any, before: Any, verb: str) -> None:
    assert needed_right(subresource, {"status": now}, {"status": before}) == verb


@pytest.mark.parametrize(
    ("group", "signer", "code"),
    [
        ("devs", CLIENT_SIGNER, 201),
        ("system:masters", CLIENT_SIGNER, 403),
        ("system:masters", "acme.com/own", 201),
    ],
)
async def test_nobody_asks_to_be_an_administrator(group: str, signer: str, code: int) -> None:
    client = ApiClient(memory_shard())
    reply = await client.do("POST", REQUESTS, signing_request("a", group, signer))
    assert reply.code == code, reply.message
    await client.shard.store.close()

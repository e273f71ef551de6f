import base64

import pytest
from cryptography import x509

from kcpshard.controllers.certificate_signing import CertificateSigning, is_to_be_signed, usage_fault
from kcpshard.credentials.keys import CERTIFICATES, KeyRing, make_key
from kcpshard.credentials.service_account_tokens import TokenIssuer
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.api_client import ApiClient, memory_shard
from tests.kcpshard.certificate_requests import REQUESTS, approved, signing_request


def give_key(client: ApiClient) -> None:
    made, ring = make_key(CERTIFICATES, client.shard.now_us()), KeyRing()
    key = pb.SigningKey(
        id=made.id, purpose=CERTIFICATES, private_key=made.private_key, certificate=made.certificate, signs=True
    )
    ring.take([key])
    client.shard.issuer = TokenIssuer(ring)


@pytest.mark.parametrize(
    ("usages", "condition", "reason"),
    [
        pytest.param(["client auth"], None, "", id="signed"),
        pytest.param(["server auth"], "Failed", "invalid usage for client certificate: server auth", id="for servers"),
        pytest.param(
            ["digital signature"],
            "Failed",
            "missing required usage for client certificate: client auth",
            id="for nothing",
        ),
    ],
)  # fmt: skip
async def test_what_is_approved_is_signed_or_says_why_not(
    usages: list[str], condition: str | None, reason: str
) -> None:
    client = ApiClient(memory_shard())
    give_key(client)
    made = await client.do("POST", REQUESTS, signing_request("a", usages=usages))
    await client.do("PUT", f"{REQUESTS}/a/approval", approved(made.json))
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None
    await CertificateSigning(client.shard).reconcile(cluster, ("a",))
    status = (await client.do("GET", f"{REQUESTS}/a")).json["status"]
    if condition is None:
        x509.load_pem_x509_certificate(base64.b64decode(status["certificate"]))
    else:
        assert "certificate" not in status
        assert (status["conditions"][-1]["type"], status["conditions"][-1]["message"]) == (condition, reason)
    await client.shard.store.close()


async def test_without_a_key_it_comes_back_later() -> None:
    client = ApiClient(memory_shard())
    made = await client.do("POST", REQUESTS, signing_request("a"))
    await client.do("PUT", f"{REQUESTS}/a/approval", approved(made.json))
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None
    assert await CertificateSigning(client.shard).reconcile(cluster, ("a",)) > 0
    await client.shard.store.close()


@pytest.mark.parametrize("kinds", [[], ["Denied"], ["Approved", "Failed"]])
def test_nothing_else_is_signed(kinds: list[str]) -> None:
    request = signing_request("a")
    request["status"] = {"conditions": [{"type": kind, "status": "True"} for kind in kinds]}
    assert not is_to_be_signed(request)


def test_uses() -> None:
    assert usage_fault(["client auth", "digital signature", "key encipherment"]) == ""

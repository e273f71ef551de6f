from typing import Any

import jwt
import pytest

from kcpshard.credentials.keys import TOKENS, KeyRing, make_key
from kcpshard.credentials.service_account_tokens import MAX_EXPIRATION_S, TokenIssuer
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.api_client import ApiClient, Reply

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


async def ask(client: ApiClient, name: str = "builder", meta: dict[str, Any] | None = None, **spec: Any) -> Reply:
    made, ring = make_key(TOKENS, 0), KeyRing()
    ring.take([pb.SigningKey(id=made.id, purpose=TOKENS, private_key=made.private_key, signs=True)])
    client.shard.issuer = TokenIssuer(ring, "https://issuer")
    await client.do("POST", ACCOUNTS, {"metadata": {"name": "builder"}})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": meta or {}, "spec": spec}
    return await client.do("POST", f"{ACCOUNTS}/{name}/token", body)


def claims(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(reply.json["status"]["token"], options={"verify_signature": False})
    return found


async def test_a_token_for_the_server_itself(client: ApiClient) -> None:
    reply = await ask(client)
    assert reply.code == 201
    found = claims(reply)
    assert (found["aud"], found["iss"], found["sub"]) == (
        ["https://issuer"], "https://issuer", "system:serviceaccount:default:builder",
    )  # fmt: skip
    assert found["exp"] - found["iat"] == 3600
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None and found["kcp.io"] == {"cluster": str(cluster.id)}
    assert reply.json["spec"] == {"audiences": ["https://issuer"], "expirationSeconds": 3600, "boundObjectRef": None}
    assert reply.json["metadata"]["name"] == "builder" and reply.json["metadata"]["uid"]


async def test_audiences_and_expiry_as_asked(client: ApiClient) -> None:
    found = claims(await ask(client, audiences=["vault"], expirationSeconds=601))
    assert (found["aud"], found["exp"] - found["iat"]) == (["vault"], 601)


async def test_what_is_too_long_is_shortened_with_a_warning(client: ApiClient) -> None:
    reply = await ask(client, expirationSeconds=1 << 32)
    assert reply.json["spec"]["expirationSeconds"] == MAX_EXPIRATION_S
    assert reply.answer.warnings == [
        f"requested expiration of {1 << 32} seconds shortened to {MAX_EXPIRATION_S} seconds"
    ]


async def test_a_token_bound_to_a_secret(client: ApiClient) -> None:
    secret = await client.do("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})
    uid = secret.json["metadata"]["uid"]
    reply = await ask(client, boundObjectRef={"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": uid})
    assert claims(reply)["kubernetes.io"]["secret"] == {"name": "s", "uid": uid}


@pytest.mark.parametrize(
    ("name", "meta", "spec", "code", "text"),
    [
        pytest.param("none", {}, {}, 404, 'serviceaccounts "none" not found', id="no account"),
        pytest.param("builder", {"name": "x"}, {}, 422, "must match the service account name", id="other name"),
        pytest.param("builder", {"namespace": "x"}, {}, 400, "does not match the namespace sent", id="other place"),
        pytest.param("builder", {"uid": "x"}, {}, 409, "does not match the UID of the service account", id="other uid"),
        pytest.param("builder", {}, {"expirationSeconds": 599}, 422, "less than 10 minutes", id="too short"),
        pytest.param("builder", {}, {"expirationSeconds": (1 << 32) + 1}, 422, "larger than 2^32", id="too long"),
        pytest.param(
            "builder", {}, {"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}}, 400,
            "cannot bind token to object of type /v1, Kind=ConfigMap", id="bound to what cannot be",
        ),
        pytest.param(
            "builder", {}, {"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "x"}}, 404,
            'secrets "x" not found', id="bound to nothing",
        ),
    ],
)  # fmt: skip
async def test_refusals(
    client: ApiClient, name: str, meta: dict[str, Any], spec: dict[str, Any], code: int, text: str
) -> None:
    reply = await ask(client, name, meta, **spec)
    assert reply.code == code
    assert text in reply.message


async def test_a_dry_run_makes_a_token_too(client: ApiClient) -> None:
    await ask(client)
    reply = await client.do("POST", f"{ACCOUNTS}/builder/token?dryRun=All", {"spec": {}})
    assert reply.code == 201 and reply.json["status"]["token"]

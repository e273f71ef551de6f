import base64
from typing import Any

import jwt
import pytest

from kcpshard.controllers.service_account_tokens import TYPE, ServiceAccountTokens
from kcpshard.credentials.keys import TOKENS, KeyRing, make_key
from kcpshard.credentials.service_account_tokens import TokenIssuer
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.api_client import ApiClient, memory_shard

SECRETS = "/api/v1/namespaces/default/secrets"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


def give_key(client: ApiClient) -> None:
    made, ring = make_key(TOKENS, 0), KeyRing()
    ring.take([pb.SigningKey(id=made.id, purpose=TOKENS, private_key=made.private_key, signs=True)])
    client.shard.issuer = TokenIssuer(ring)


async def look(client: ApiClient, *key: str) -> float:
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None
    return await ServiceAccountTokens(client.shard).reconcile(cluster, key or ("default", "t"))


async def prepared(account: str = "builder", uid: str = "") -> ApiClient:
    client = ApiClient(memory_shard())
    give_key(client)
    await client.do("POST", ACCOUNTS, {"metadata": {"name": "builder"}})
    notes = {"kubernetes.io/service-account.name": account}
    if uid:
        notes["kubernetes.io/service-account.uid"] = uid
    made = await client.do("POST", SECRETS, {"metadata": {"name": "t", "annotations": notes}, "type": TYPE})
    assert made.code == 201, made.message
    return client


async def secret(client: ApiClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.do("GET", f"{SECRETS}/t")).json
    return found


async def test_a_secret_for_an_account_is_filled_in() -> None:
    client = await prepared()
    await look(client)
    found = await secret(client)
    data = {key: base64.b64decode(value).decode() for key, value in found["data"].items()}
    claims = jwt.decode(data["token"], options={"verify_signature": False})
    assert (claims["sub"], data["namespace"]) == ("system:serviceaccount:default:builder", "default")
    account = (await client.do("GET", f"{ACCOUNTS}/builder")).json
    assert found["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == account["metadata"]["uid"]
    await look(client)
    assert await secret(client) == found, "settled"


@pytest.mark.parametrize(("account", "uid"), [("nobody", ""), ("builder", "of another")])
async def test_a_secret_of_no_account_goes(account: str, uid: str) -> None:
    client = await prepared(account, uid)
    await look(client)
    assert (await secret(client))["code"] == 404


async def test_a_secret_goes_with_its_account() -> None:
    client = await prepared()
    await look(client)
    await client.do("DELETE", f"{ACCOUNTS}/builder")
    await look(client, "default")
    assert (await secret(client))["code"] == 404


async def test_a_token_of_a_key_that_is_gone_is_made_anew() -> None:
    client = await prepared()
    await look(client)
    before = await secret(client)
    give_key(client)
    await look(client)
    assert (await secret(client))["data"]["token"] != before["data"]["token"]


async def test_without_a_key_it_comes_back_later() -> None:
    client = await prepared()
    client.shard.issuer = TokenIssuer(KeyRing())
    assert await look(client) > 0

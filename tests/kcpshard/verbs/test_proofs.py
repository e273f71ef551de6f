import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kcpshard.api.errors import Unauthorized
from kcpshard.api.proofs import BootstrapToken, ClaimedObject, Proof, StoredToken
from kcpshard.api.requests import decode_identity
from kcpshard.verbs import proofs
from kcpshard.verbs.proofs import prove
from tests.contracts.api_client import ApiClient

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
SECRETS = "/api/v1/namespaces/kube-system/secrets"


def encoded(**data: str) -> dict[str, str]:
    return {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in data.items()}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def account(client: ApiClient, name: str = "builder") -> ClaimedObject:
    made = await client.do("POST", ACCOUNTS, {"metadata": {"name": name}})
    return ClaimedObject("serviceaccounts", "default", name, made.json["metadata"]["uid"])


def cluster_id(client: ApiClient) -> int:
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None
    return cluster.id


def ask(client: ApiClient, proof: Proof) -> bytes:
    return prove(client.shard, "root", proof.encode())


async def test_an_account_that_is_there_is_proved(client: ApiClient) -> None:
    proof = Proof(cluster_id_of := 0, (await account(client),))._replace(cluster=cluster_id(client))
    assert cluster_id_of == 0
    for _ in range(2):
        assert ask(client, proof) == b""


Change = Callable[[ApiClient, Proof], Awaitable[Proof]]


async def deleted(client: ApiClient, proof: Proof) -> Proof:
    await client.do("DELETE", f"{ACCOUNTS}/builder")
    return proof


async def made_anew(client: ApiClient, proof: Proof) -> Proof:
    await client.do("DELETE", f"{ACCOUNTS}/builder")
    await account(client)
    return proof


async def elsewhere(client: ApiClient, proof: Proof) -> Proof:
    return proof._replace(cluster=proof.cluster + 1)


async def another_name(client: ApiClient, proof: Proof) -> Proof:
    return proof._replace(objects=(proof.objects[0]._replace(name="default"),))


async def unbound(client: ApiClient, proof: Proof) -> Proof:
    return proof._replace(objects=(*proof.objects, ClaimedObject("secrets", "default", "none", "x")))


@pytest.mark.parametrize("change", [deleted, made_anew, elsewhere, another_name, unbound])
async def test_what_is_not_true_any_more_is_refused_at_once(client: ApiClient, change: Change) -> None:
    claimed = await account(client)
    proof = Proof(cluster_id(client), (claimed,))
    ask(client, proof)
    proof = await change(client, proof)
    with pytest.raises(Unauthorized):
        ask(client, proof)


async def test_a_changed_account_is_looked_at_again_and_still_good(client: ApiClient) -> None:
    proof = Proof(cluster_id(client), (await account(client),)) if await account(client, "x") else Proof(0)
    ask(client, proof)
    await client.do(
        "PATCH", f"{ACCOUNTS}/builder", {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json"
    )
    assert ask(client, proof) == b""


async def test_what_is_being_deleted_counts_for_another_minute(client: ApiClient) -> None:
    made = await client.do("POST", ACCOUNTS, {"metadata": {"name": "builder", "finalizers": ["x.io/wait"]}})
    claimed = ClaimedObject("serviceaccounts", "default", "builder", made.json["metadata"]["uid"])
    await client.do("DELETE", f"{ACCOUNTS}/builder")
    proof = Proof(cluster_id(client), (claimed,))
    ask(client, proof)
    now_us = client.shard.now_us()
    client.shard.now_us = lambda: now_us + 62_000_000
    with pytest.raises(Unauthorized):
        ask(client, proof)


async def test_a_request_with_a_false_proof_is_nobody(client: ApiClient) -> None:
    claimed = await account(client)
    request = client.request("GET", f"{ACCOUNTS}/builder")
    request.proof = Proof(cluster_id(client), (claimed._replace(uid="other"),)).encode()
    reply = await client.send(request)
    assert (reply.code, reply.message) == (401, "Unauthorized")


async def test_where_no_logical_cluster_is_nobody_is_anybody(client: ApiClient) -> None:
    with pytest.raises(Unauthorized):
        ask(client, Proof(0))


@pytest.mark.parametrize("raw", [b"x", b"[]", b"{}", b"[1,2,3,4]"])
async def test_a_broken_proof_proves_nothing(client: ApiClient, raw: bytes) -> None:
    await account(client)
    with pytest.raises(Unauthorized):
        prove(client.shard, "root", raw)


async def test_remembered_proofs_are_bounded(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "_MAX_REMEMBERED", 2)
    claimed = [await account(client, f"sa-{number}") for number in range(3)]
    for each in claimed:
        ask(client, Proof(cluster_id(client), (each,)))
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None
    remembered: Any = cluster.cached["proofs"]
    assert len(remembered) == 1


async def test_a_token_of_a_secret_must_still_be_in_it(client: ApiClient) -> None:
    claimed = await account(client)
    secret = {"metadata": {"name": "t"}, "data": encoded(token="abc")}
    await client.do("POST", SECRETS, secret)
    proof = Proof(cluster_id(client), (claimed,), StoredToken("kube-system", "t", digest("abc")))
    ask(client, proof)
    await client.do("PATCH", f"{SECRETS}/t", {"data": encoded(token="abd")}, "application/merge-patch+json")
    with pytest.raises(Unauthorized):
        ask(client, proof)


GOOD = {"token_id": "abcdef", "token_secret": "0123456789abcdef", "usage_bootstrap_authentication": "true"}


@pytest.mark.parametrize(
    ("data", "groups"),
    [
        pytest.param(GOOD, ["system:bootstrappers"], id="plain"),
        pytest.param(
            {**GOOD, "auth_extra_groups": "system:bootstrappers:b,system:bootstrappers:a"},
            ["system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b"],
            id="groups",
        ),
        pytest.param({**GOOD, "expiration": "2999-01-01T00:00:00Z"}, ["system:bootstrappers"], id="not yet expired"),
        pytest.param({**GOOD, "expiration": "2001-01-01T00:00:00Z"}, None, id="expired"),
        pytest.param({**GOOD, "expiration": "soon"}, None, id="broken expiry"),
        pytest.param({**GOOD, "usage_bootstrap_authentication": "false"}, None, id="for signing only"),
        pytest.param({**GOOD, "token_secret": "0123456789abcdee"}, None, id="another secret"),
        pytest.param({**GOOD, "token_id": "abcdeg"}, None, id="another id"),
        pytest.param({**GOOD, "auth_extra_groups": "system:masters"}, None, id="a group it may not give"),
    ],
)
async def test_a_bootstrap_token(client: ApiClient, data: dict[str, str], groups: list[str] | None) -> None:
    secret = {"metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token"}
    made = await client.do("POST", SECRETS, {**secret, "data": encoded(**data)})
    assert made.code == 201, made.message
    proof = Proof(0, (), None, BootstrapToken("abcdef", digest("0123456789abcdef")))
    if groups is None:
        with pytest.raises(Unauthorized):
            ask(client, proof)
        return
    found = decode_identity(ask(client, proof))
    assert (found.username, found.scope) == ("system:bootstrap:abcdef", cluster_id(client))
    assert list(found.groups) == [*groups, "system:authenticated"]

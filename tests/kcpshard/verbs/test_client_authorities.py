from typing import Any

import pytest

from kcp.certificates import fingerprint, make_authority, now_utc
from kcpshard.api.errors import Unauthorized
from kcpshard.api.proofs import ClaimedObject, Proof
from kcpshard.api.requests import Identity
from kcpshard.verbs.proofs import prove
from tests.contracts.api_client import MERGE, ApiClient

PLACE = "/api/v1/namespaces/kube-system/configmaps"
ONE, TWO = (make_authority(name, now_utc()).certificate for name in ("one", "two"))
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


def registration(*pems: bytes, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": "kcp-client-ca"}, "data": {"client-ca-file": b"".join(pems).decode(), **data}}


async def bound(client: ApiClient, user: str, role: str) -> None:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    await client.create(BINDINGS, {"metadata": {"name": user}, "roleRef": reference, "subjects": [subject]})


def as_user(client: ApiClient, name: str) -> ApiClient:
    return ApiClient(client.shard, "root", Identity(name, groups=("system:authenticated",)))


async def test_what_is_registered_is_proved_and_what_is_not_any_more_is_not(client: ApiClient) -> None:
    made = await client.create(PLACE, registration(ONE, TWO))
    cluster = client.shard.store.pending_cluster("root")
    assert cluster is not None
    claimed = ClaimedObject("configmaps", "kube-system", "kcp-client-ca", made["metadata"]["uid"])
    one, two = (Proof(cluster.id, (claimed,), authority=fingerprint(pem)).encode() for pem in (ONE, TWO))
    for _ in range(2):
        assert prove(client.shard, "root", one) == prove(client.shard, "root", two) == b""
    await client.patch(f"{PLACE}/kcp-client-ca", {"data": {"client-ca-file": TWO.decode()}}, MERGE)
    with pytest.raises(Unauthorized):
        prove(client.shard, "root", one)
    assert prove(client.shard, "root", two) == b""
    await client.do("DELETE", f"{PLACE}/kcp-client-ca")
    with pytest.raises(Unauthorized):
        prove(client.shard, "root", two)


async def test_who_registers_an_authority_must_hold_everything(client: ApiClient) -> None:
    await client.create(PLACE, {"metadata": {"name": "birth"}})
    await bound(client, "ann", "cluster-admin")
    await bound(client, "bob", "admin")
    bob = as_user(client, "bob")
    assert (await bob.do("POST", PLACE, {"metadata": {"name": "other"}})).code == 201
    refused = await bob.do("POST", PLACE, registration(ONE))
    assert refused.code == 403
    assert "cluster-admin privileges to register client authorities" in refused.json["message"]
    assert (await as_user(client, "ann").do("POST", PLACE, registration(ONE))).code == 201
    assert (await bob.do("PUT", f"{PLACE}/kcp-client-ca", registration(TWO))).code == 403
    elsewhere = PLACE.replace("kube-system", "default")
    assert (await bob.do("POST", elsewhere, registration(ONE))).code == 201, "there it means nothing"


@pytest.mark.parametrize("size", [0, 100_000], ids=["small", "large enough for a worker"])
async def test_what_is_no_authority_is_not_stored(client: ApiClient, size: int) -> None:
    found = await client.do("POST", PLACE, registration(b"nonsense", padding="x" * size))
    assert found.code == 422
    assert found.json["details"]["causes"][0]["field"] == "data[client-ca-file]"

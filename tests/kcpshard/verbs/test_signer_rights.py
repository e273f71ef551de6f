from typing import Any

import pytest

from kcpshard.api.requests import Identity
from tests.contracts.api_client import ApiClient
from tests.kcpshard.certificate_requests import REQUESTS, approved, signing_request

RBAC = "/apis/rbac.authorization.k8s.io/v1"
SUBRESOURCES = [f"certificatesigningrequests/{name}" for name in ("approval", "status")]
JOE = Identity("joe", "", ("system:authenticated",))


async def allow_joe(client: ApiClient, *rules: dict[str, Any]) -> None:
    plain = {"verbs": ["*"], "apiGroups": ["certificates.k8s.io"], "resources": SUBRESOURCES}
    await client.do("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "joe"}, "rules": [plain, *rules]})
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "joe"}
    role = {"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io", "name": "joe"}
    binding = {"metadata": {"name": "joe"}, "subjects": [subject], "roleRef": role}
    made = await client.do("POST", f"{RBAC}/clusterrolebindings", binding)
    assert made.code == 201, made.message


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ([], 403),
        (["kubernetes.io/kube-apiserver-client"], 200),
        (["kubernetes.io/*"], 200),
        (["acme.com/*"], 403),
    ],
)
@pytest.mark.parametrize(("verb", "subresource"), [("approve", "approval"), ("sign", "status")])
async def test_a_signer_is_a_right_of_its_own(
    client: ApiClient, verb: str, subresource: str, signers: list[str], code: int
) -> None:
    made = await client.do("POST", REQUESTS, signing_request("a"))
    rule = {"verbs": [verb], "apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": signers}
    await allow_joe(client, *([rule] if signers else []))
    joe = ApiClient(client.shard, client.cluster, JOE)
    kind = "Approved" if verb == "approve" else "Failed"
    reply = await joe.do("PUT", f"{REQUESTS}/a/{subresource}", approved(made.json, kind))
    assert reply.code == code, reply.message
    if code == 403:
        assert f"not permitted to {verb} requests with signerName" in reply.message

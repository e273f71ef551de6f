import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kcpsyncer.controllers.agent_rights import (
    CLUSTER_ANNOTATION,
    GROUP,
    SIGNER,
    agent_rights,
    asked_uid,
    is_undecided,
    may_have,
    path_of,
    username,
)

CLUSTER = {"metadata": {"name": "east", "uid": "u1"}}
TOKEN = {"metadata": {"annotations": {CLUSTER_ANNOTATION: "u1"}}}


def request(name: str = username("u1"), group: str = GROUP, who: str = "system:bootstrap:abcdef", **spec: Any) -> Any:
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    pem = made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    usual = {
        "request": base64.b64encode(pem).decode(),
        "signerName": SIGNER,
        "username": who,
        "usages": ["client auth"],
    }
    return {"spec": {**usual, **spec}}


def test_a_token_made_for_the_cluster_and_the_agent_itself() -> None:
    assert may_have(request(), [CLUSTER], TOKEN)
    assert may_have(request(who=username("u1")), [CLUSTER], None)


@pytest.mark.parametrize(
    ("asked", "token"),
    [
        (request(), None),
        (request(), {"metadata": {"annotations": {CLUSTER_ANNOTATION: "u2"}}}),
        (request(who="jane"), TOKEN),
        (request(who=username("u2")), None),
        (request(username("u2")), {"metadata": {"annotations": {CLUSTER_ANNOTATION: "u2"}}}),
        (request(group="system:masters"), TOKEN),
        (request("jane"), TOKEN),
        (request(usages=["client auth", "server auth"]), TOKEN),
        (request(request="aGVsbG8="), TOKEN),
    ],
    ids=["no token", "another's token", "no bootstrap token", "another agent", "no such cluster", "another group",
         "another name", "another use", "no request"],
)  # fmt: skip
def test_anybody_else(asked: Any, token: Any) -> None:
    assert not may_have(asked, [CLUSTER], token)


def test_what_is_decided_is_left_alone() -> None:
    assert is_undecided(request()) and asked_uid(request()["spec"]) == "u1"
    assert not is_undecided({**request(), "status": {"conditions": [{"type": "Denied"}]}})
    assert not is_undecided(request(signerName="example.dev/other")) and not is_undecided(request("jane"))


def test_rights_are_to_know_itself_and_to_renew() -> None:
    role, binding = agent_rights(CLUSTER)
    assert binding["subjects"][0]["name"] == username("u1")
    assert role["rules"] == [
        {"apiGroups": ["cluster.example.dev"], "resources": ["clusters"], "verbs": ["get", "list", "watch"],
         "resourceNames": ["east"]},
        {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"], "verbs": ["create", "get"]},
    ]  # fmt: skip
    assert path_of(role) == "/apis/rbac.authorization.k8s.io/v1/clusterroles/kcp:syncer:east"

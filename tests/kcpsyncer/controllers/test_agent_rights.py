import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kcpshard.api.pod_references import Reference
from kcpsyncer.controllers.agent_rights import (
    CLUSTER_ANNOTATION,
    GROUP,
    SIGNER,
    agent_rights,
    asked_uid,
    companion_rights,
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


def test_rights_are_of_that_cluster_and_those_types() -> None:
    role, binding, lease, _ = agent_rights(CLUSTER, ["deployments.apps", "pods"])
    assert binding["subjects"][0]["name"] == username("u1")
    verbs = {(rule["resources"][0], tuple(rule["verbs"])) for rule in role["rules"]}
    assert ("deployments/status", ("update",)) in verbs and ("pods", ("get", "list", "watch")) in verbs
    assert not any("secrets" in rule["resources"] for rule in role["rules"])
    assert not any("*" in rule["verbs"] + rule["resources"] for rule in role["rules"])
    assert path_of(lease) == "/apis/rbac.authorization.k8s.io/v1/namespaces/kcp-system/roles/kcp:syncer:east"


def test_companions_are_named() -> None:
    role, binding = companion_rights(CLUSTER, "shop", [Reference("secrets", "Secret", "s")])
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"], "resourceNames": ["s"]}
    ]
    assert binding["roleRef"]["kind"] == "Role" and binding["metadata"]["namespace"] == "shop"
    assert companion_rights(CLUSTER, "shop", [])[0]["rules"] == []

"""Who an agent is, by the certificate it shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from kcpshard.api.certificate_scope import AUTHORITY_NAME, EXTENSION_OID, encode_scope
from kcpshard.api.errors import Forbidden
from kcpshard.api.requests import decode_identity
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.syncing.identity import acts_as, asks_as, syncer_roles
from kcpshard.verbs.shard import SYSTEM

TENANTS, INTERNAL = f"{AUTHORITY_NAME}1", "kcp internal"
AGENT = pb.SyncAgent(cluster="root:a", name="east", uid="u1")


class Context:
    def __init__(self, pem: bytes = b"") -> None:
        self._pem = pem

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._pem]} if self._pem else {}


def shown(issuer: str, scope: int = 0, **subject: str) -> Any:
    oids = {"cn": NameOID.COMMON_NAME, "o": NameOID.ORGANIZATION_NAME, "ou": NameOID.ORGANIZATIONAL_UNIT_NAME}
    name = x509.Name([x509.NameAttribute(oids[key], value) for key, value in subject.items()])
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]), name, key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if scope:
        extension = x509.UnrecognizedExtension(ObjectIdentifier(EXTENSION_OID), encode_scope(scope))
        made = made.add_extension(extension, False)
    return Context(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def test_an_agents_certificate() -> None:
    context = shown(TENANTS, 7, cn="system:kcp:syncer:u1", o="system:kcp:syncers")
    assert syncer_roles(context) == {"syncer"}
    found = decode_identity(asks_as(context, AGENT))
    assert found.username == "system:kcp:syncer:u1" and found.scope == 7 and "system:masters" not in found.groups
    with pytest.raises(Forbidden):
        asks_as(context, pb.SyncAgent(cluster="root:a", name="east", uid="u2"))


@pytest.mark.parametrize(
    "context",
    [
        shown(TENANTS, 7, cn="system:kcp:syncer:u1", ou="syncer"),
        shown(TENANTS, 0, cn="system:kcp:syncer:u1", o="system:kcp:syncers"),
        shown(TENANTS, 7, cn="jane", o="system:kcp:syncers"),
        shown(TENANTS, 7, cn="system:kcp:syncer:u1", o="system:masters"),
        shown(INTERNAL, 0, cn="front-1", ou="front"),
        Context(),
    ],
    ids=["a tenant claims the role", "without its logical cluster", "a user", "another group", "a front", "nobody"],
)
def test_others_have_no_role(context: Any) -> None:
    assert syncer_roles(context) == frozenset()


def test_processes_of_the_installation_are_believed() -> None:
    context = shown(INTERNAL, 0, cn="controllers", ou="syncer")
    assert syncer_roles(context) == {"syncer"}
    assert asks_as(context, AGENT) == SYSTEM == asks_as(Context(), AGENT)


def test_whoever_passed_the_gate() -> None:
    assert decode_identity(acts_as(AGENT)).username == "system:kcp:syncer:u1"

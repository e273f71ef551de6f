from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from kcp.certificates import Subject, issue, make_authority
from kcpfront.authentication.client_certificates import ClientCertificates
from kcpshard.api.proofs import decode_proof
from kcpshard.credentials import issued_certificates
from kcpshard.credentials.keys import CERTIFICATES, KeyRing, make_key
from kcpshard.rpc import shard_pb2 as pb

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUTHORITY = make_authority("clients", NOW)


def new_key() -> pb.SigningKey:
    made = make_key(CERTIFICATES, 1_767_225_600_000_000)
    return pb.SigningKey(
        id=made.id, purpose=CERTIFICATES, private_key=made.private_key, certificate=made.certificate, signs=True
    )


KEY = new_key()


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def of_installation(subject: Subject) -> bytes:
    return der(issue(AUTHORITY, subject, NOW).certificate)


def of_logical_cluster(key: pb.SigningKey = KEY, scope: int = 42) -> bytes:
    ring = KeyRing()
    ring.take([key])
    assert ring.authority is not None
    names = x509.Name.from_rfc4514_string("CN=jane,O=system:masters")
    request = x509.CertificateSigningRequestBuilder().subject_name(names)
    pem = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)
    uses = ("client auth",)
    return der(issued_certificates.issue(ring.authority, pem, uses, None, scope, 1_767_225_600_000_000))


def certificates(*keys: pb.SigningKey) -> ClientCertificates:
    found = ClientCertificates(NOW.timestamp)
    found.take_keys(keys)
    found.take_client_authorities([x509.load_pem_x509_certificate(AUTHORITY.certificate)])
    return found


def test_the_name_is_the_user_and_organizations_are_groups() -> None:
    found = certificates().prove(of_installation(Subject("eve", ("ops", "devs", "ops"))), "root")
    assert found is not None
    user = found.user
    assert (user.username, user.groups, user.scope) == ("eve", ("ops", "devs", "system:authenticated"), 0)
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
    assert found.proof == b""


def test_a_certificate_of_a_logical_cluster_is_somebody_there() -> None:
    known = certificates(KEY)
    raw = of_logical_cluster()
    found = known.prove(raw, "root")
    assert found is not None
    assert (found.user.username, found.user.scope, decode_proof(found.proof).cluster) == ("jane", 42, 42)
    assert known.prove(raw, "root") is found


@pytest.mark.parametrize(
    "known", [pytest.param((), id="a key that is gone"), pytest.param((new_key(),), id="another key")]
)
def test_who_signed_it_must_be_known(known: tuple[pb.SigningKey, ...]) -> None:
    """It must not count as one of the installation's either."""
    assert certificates(*known).prove(of_logical_cluster(), "root") is None


def test_it_must_name_its_logical_cluster() -> None:
    assert certificates(KEY).prove(of_logical_cluster(scope=0), "root") is None


def test_what_a_key_proved_goes_with_it() -> None:
    known, raw = certificates(KEY), of_logical_cluster()
    assert known.prove(raw, "root") is not None
    known.take_keys([])
    assert known.prove(raw, "root") is None

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kcpshard.api.certificate_scope import EXTENSION_OID, decode_scope
from kcpshard.credentials.issued_certificates import LONGEST, SHORTEST, issue
from kcpshard.credentials.keys import CERTIFICATES, Authority, KeyRing, make_key
from kcpshard.rpc import shard_pb2 as pb

NOW_US = 1_796_000_000_000_000


def authority() -> Authority:
    made, ring = make_key(CERTIFICATES, NOW_US), KeyRing()
    key = pb.SigningKey(
        id=made.id, purpose=CERTIFICATES, private_key=made.private_key, certificate=made.certificate, signs=True
    )
    ring.take([key])
    assert ring.authority is not None
    return ring.authority


def request() -> bytes:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "devs"), x509.NameAttribute(NameOID.COMMON_NAME, "jane")]
    )
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def made(expiration_s: int | None = None, usages: tuple[str, ...] = ("client auth",)) -> x509.Certificate:
    signer = authority()
    found = x509.load_pem_x509_certificate(issue(signer, request(), usages, expiration_s, 42, NOW_US))
    found.verify_directly_issued_by(signer.certificate)
    return found


def test_it_names_its_logical_cluster_and_is_for_clients_only() -> None:
    found = made()
    scope = found.extensions.get_extension_for_oid(x509.ObjectIdentifier(EXTENSION_OID)).value
    assert isinstance(scope, x509.UnrecognizedExtension) and decode_scope(scope.value) == 42
    uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert found.subject.rfc4514_string() == "CN=jane,O=devs"


@pytest.mark.parametrize(
    ("asked_s", "life"), [(None, LONGEST), (10**9, LONGEST), (1, SHORTEST), (3600, timedelta(hours=1))]
)
def test_it_lives_as_long_as_asked_within_bounds(asked_s: int | None, life: timedelta) -> None:
    found = made(asked_s)
    lives = found.not_valid_after_utc - found.not_valid_before_utc
    assert life <= lives <= life + timedelta(minutes=5)


def test_key_usage_is_there_if_asked_for() -> None:
    with pytest.raises(x509.ExtensionNotFound):
        made().extensions.get_extension_for_class(x509.KeyUsage)
    usage = made(usages=("client auth", "digital signature")).extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, False, False)


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(ValueError):
        issue(authority(), b"x", ("client auth",), None, 42, NOW_US)

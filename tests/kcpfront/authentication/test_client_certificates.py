from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kcp.certificates import Subject, issue, make_authority
from kcpfront.authentication.client_certificates import certificate_identity

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUTHORITY = make_authority("clients", NOW)


def der(subject: Subject) -> bytes:
    return x509.load_pem_x509_certificate(issue(AUTHORITY, subject, NOW).certificate).public_bytes(Encoding.DER)


def test_the_name_is_the_user_and_organizations_are_groups() -> None:
    raw = der(Subject("eve", ("ops", "devs", "ops")))
    found = certificate_identity(raw)
    assert found is not None
    assert (found.username, found.groups) == ("eve", ("ops", "devs", "system:authenticated"))
    (credential,) = found.extra["authentication.kubernetes.io/credential-id"]
    assert credential.startswith("X509SHA256=")

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from kcp.certificates import AUTHORITY_LIFE, Subject, issue, make_authority, now_utc
from kcpshard.credentials.client_authorities import faults

NOW = now_utc()
GOOD = make_authority("team ca", NOW)


def told(text: object) -> str:
    return "; ".join(fault.detail for fault in faults({"client-ca-file": text}, NOW))


def weak() -> str:
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name.from_rfc4514_string("CN=weak")
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(True, None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def nameless() -> str:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(True, None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_authorities_are_taken() -> None:
    other = make_authority("other", NOW)
    assert told(GOOD.certificate.decode() + other.certificate.decode()) == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "Required"),
        ("", "Required"),
        ("nonsense", "must be certificates in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "must be certificates in PEM"),
        ("x" * 70_000, "at most 65536 bytes"),
        (GOOD.certificate.decode() * 2, "two certificates of one subject"),
        ("".join(make_authority(f"ca {n}", NOW).certificate.decode() for n in range(17)), "at most 16 certificates"),
        (issue(GOOD, Subject("leaf"), NOW).certificate.decode(), "certificate 1 is no authority"),
        (make_authority("kcp certificates 7", NOW).certificate.decode(), "must not call itself"),
        (make_authority("old", NOW - 2 * AUTHORITY_LIFE).certificate.decode(), "has expired"),
        (weak(), "RSA key of less than 2048 bits"),
        (nameless(), "has no subject"),
    ],
)
def test_what_is_no_authority_is_refused(text: object, fault: str) -> None:
    assert fault in told(text)

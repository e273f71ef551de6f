import base64
import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kcpshard.bootstrap.authority import CERTIFICATE_LIFE, Authority, check_request, sign
from kcpshard.bootstrap.join_tokens import JoinRefused
from tests.kcpshard.bootstrap.authorities import make_authority

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> bytes:
    wanted = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "admin"), x509.NameAttribute(NameOID.COMMON_NAME, "root")]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(wanted)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def signed(role: str, *hosts: str, authority: Authority | None = None) -> x509.Certificate:
    process = check_request(role, "shard-3", hosts, request())
    return x509.load_pem_x509_certificate(sign(authority or make_authority(NOW), process, NOW))


def test_role_and_name_are_ours_whatever_the_request_says() -> None:
    subject = signed("shard").subject
    assert [a.value for a in subject] == ["shard", "shard-3"]


def test_a_shard_serves_on_its_hosts_and_a_front_does_not() -> None:
    shard = signed("shard", "Shard3.example", "10.0.0.3", "::1")
    names = shard.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["shard3.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(a) for a in ("10.0.0.3", "::1")]
    usage = shard.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SERVER_AUTH in usage
    front = signed("front", "front.example")
    assert list(front.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]


def test_it_is_signed_by_the_authority_and_does_not_outlive_it() -> None:
    authority = make_authority(NOW, timedelta(days=10))
    certificate = signed("front", authority=authority)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    assert certificate.not_valid_after_utc == NOW + timedelta(days=10)
    assert signed("front").not_valid_after_utc == NOW + CERTIFICATE_LIFE


def test_the_digest_is_of_the_certificate() -> None:
    authority = make_authority(NOW)
    parsed = x509.load_pem_x509_certificate(authority.certificate)
    assert authority.digest() == parsed.fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize("name", ["UPPER", "a b", "-a", "a/b", "a" * 64, "ä"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(JoinRefused, match="name"):
        check_request("shard", name, (), request())


@pytest.mark.parametrize("hosts", [["*.example"], ["a b"], [""], ["x"] * 17])
def test_hosts_are_names_or_addresses_and_few(hosts: list[str]) -> None:
    with pytest.raises(JoinRefused, match="host"):
        check_request("shard", "a", hosts, request())


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", request(rsa.generate_private_key(65537, 2048)), request(ec.generate_private_key(ec.SECP384R1()))],
    ids=["empty", "rubbish", "rsa", "curve"],
)
def test_other_requests_are_refused(raw: bytes) -> None:
    with pytest.raises(JoinRefused, match="certificate request"):
        check_request("shard", "a", (), raw)


def test_a_request_that_its_key_did_not_sign_is_refused() -> None:
    der = bytearray(x509.load_pem_x509_csr(request()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n"
    pem += base64.encodebytes(bytes(der)) + b"-----END CERTIFICATE REQUEST-----\n"
    with pytest.raises(JoinRefused, match="certificate request"):
        check_request("shard", "a", (), pem)

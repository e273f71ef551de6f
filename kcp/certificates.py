"""Certificate authorities and certificates of an installation: who signs whom, for which names, for how long.

Bytes in, bytes out (PEM); files are the business of `installation`. Keys are ECDSA P-256: signing a TLS handshake with
one costs a tenth of RSA 2048.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
CERTIFICATE_LIFE = timedelta(days=365)
# Machines whose clocks differ a little must accept a certificate made this moment.
BACKDATED = timedelta(minutes=5)


class Pair(NamedTuple):
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


class Subject(NamedTuple):
    """Whom a certificate names. Internally `unit` is the role; for clients `organizations` are groups."""

    common_name: str
    organizations: tuple[str, ...] = ()
    unit: str = ""


def make_authority(name: str, now: datetime) -> Pair:
    """A self-signed authority that may sign leaf certificates only."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(Subject(name))
    public = key.public_key()
    builder = (
        _builder(subject, subject, public, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return Pair(_certificate_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def issue(authority: Pair, subject: Subject, now: datetime, hosts: Sequence[str] = (), key: bytes = b"") -> Pair:
    """A certificate for `subject`: for serving on `hosts` too if there are any, always usable as a client.

    With `key` (PEM) only the certificate is new, so that one renamed file renews a pair.
    """
    signer = x509.load_pem_x509_certificate(authority.certificate)
    private = _load_key(key) if key else ec.generate_private_key(ec.SECP256R1())
    life = min(CERTIFICATE_LIFE, signer.not_valid_after_utc - now)
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
    builder = (
        _builder(_name(subject), signer.subject, private.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(_authority_identifier(signer), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(_host_names(hosts)), critical=False)
    return Pair(_certificate_pem(builder.sign(_load_key(authority.key), hashes.SHA256())), _key_pem(private))


def needs_renewal(certificate: bytes, now: datetime, hosts: Iterable[str] = ()) -> bool:
    """Less than a third of its life is left, or it does not name one of `hosts`."""
    parsed = x509.load_pem_x509_certificate(certificate)
    begins, ends = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    return ends - now < (ends - begins) / 3 or not set(map(_plain, hosts)) <= set(certificate_hosts(certificate))


def time_left(certificate: bytes, now: datetime) -> timedelta:
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc - now


def certificate_hosts(certificate: bytes) -> list[str]:
    """The DNS names and addresses a certificate is good for."""
    parsed = x509.load_pem_x509_certificate(certificate)
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def is_pair(certificate: bytes, key: bytes) -> bool:
    """The key belongs to the certificate; False also for bytes that are neither."""
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
        return public == _load_key(key).public_key()
    except (ValueError, TypeError):
        return False


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of the certificate (DER), hexadecimal: what a join token carries to recognise its authority."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()


def now_utc() -> datetime:
    return datetime.now(UTC)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(subject: Subject) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in subject.organizations]
    if subject.unit:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, subject.unit))
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(signer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)


def _host_names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    return [_host_name(host) for host in dict.fromkeys(map(_plain, hosts))]


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _plain(host: str) -> str:
    """One spelling per host, so that renewals compare equal."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.encode("idna").decode().lower() if not host.isascii() else host.lower()


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not an elliptic curve key")
    return key


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

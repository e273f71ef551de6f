"""Signs certificates for new processes of the installation: the role in OU, the process's name in CN.

Of a request only the key is used; who may have which role and name is decided before.
"""

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kcpshard.bootstrap.join_tokens import JoinRefused

CERTIFICATE_LIFE = timedelta(days=365)
BACKDATED = timedelta(minutes=5)  # clocks of machines differ a little
MAX_HOSTS = 16

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")


class Authority(NamedTuple):
    """The internal CA, PEM."""

    certificate: bytes
    key: bytes

    def digest(self) -> str:
        """SHA-256 of the certificate (DER), as join tokens carry it."""
        return certificate_digest(self.certificate)


class NewProcess(NamedTuple):
    """A checked request for a certificate."""

    role: str
    name: str
    hosts: tuple[x509.GeneralName, ...]
    public_key: ec.EllipticCurvePublicKey

    def key_digest(self) -> str:
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return sha256(self.public_key.public_bytes(encoding, form)).hexdigest()


def certificate_digest(pem: bytes) -> str:
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def check_request(role: str, name: str, hosts: Sequence[str], request: bytes) -> NewProcess:
    """Raises JoinRefused with what is wrong. The name may be empty: then the caller finds one."""
    if name and not _NAME.fullmatch(name):
        raise JoinRefused("a process's name has at most 63 lower case letters, digits, '-' and '.'")
    if len(hosts) > MAX_HOSTS:
        raise JoinRefused(f"at most {MAX_HOSTS} hosts can be named")
    return NewProcess(role, name, tuple(map(_general_name, hosts)), _public_key(request))


def sign(authority: Authority, process: NewProcess, now: datetime) -> bytes:
    """The certificate, PEM: a client's; a server's too for a shard that names hosts."""
    signer = x509.load_pem_x509_certificate(authority.certificate)
    key = serialization.load_pem_private_key(authority.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the internal CA's key is not an elliptic curve key")
    serves = process.role == "shard" and process.hosts
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if serves else [])]
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(process))
        .issuer_name(signer.subject)
        .public_key(process.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(min(now + CERTIFICATE_LIFE, signer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    if serves:
        builder = builder.add_extension(x509.SubjectAlternativeName(process.hosts), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _subject(process: NewProcess) -> x509.Name:
    role = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, process.role)
    return x509.Name([role, x509.NameAttribute(NameOID.COMMON_NAME, process.name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST.fullmatch(host.lower()):
            raise JoinRefused("a host is a DNS name or an address") from None
        return x509.DNSName(host.lower())


def _public_key(request: bytes) -> ec.EllipticCurvePublicKey:
    try:
        parsed = x509.load_pem_x509_csr(request)
        key = parsed.public_key()
        valid = parsed.is_signature_valid
    except (ValueError, TypeError, InvalidSignature) as error:
        raise JoinRefused("the certificate request is not a PEM certificate request") from error
    if not valid or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise JoinRefused("the certificate request must be signed by its ECDSA P-256 key")
    return key

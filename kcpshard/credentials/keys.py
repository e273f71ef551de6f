"""Keys that tokens and certificates of logical clusters are signed with: how one is made, and those a shard knows.

Keys are made by the keeper of the shard map and come with the map (`placement.key_rotation`); a shard signs with the
one that the map says signs. Private keys are PEM in memory and on disk (the shard's directory, 0700), and nowhere else.
"""

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kcpshard.api.certificate_scope import AUTHORITY_NAME

TOKENS, CERTIFICATES, FRONT_PROXY = "tokens", "certificates", "front-proxy"
PURPOSES = (TOKENS, CERTIFICATES, FRONT_PROXY)
# What the authorities are called: whom a client's certificate comes from is told by it.
_NAMES = {CERTIFICATES: AUTHORITY_NAME, FRONT_PROXY: "kcp front proxy "}

AUTHORITY_LIFE = timedelta(days=3650)
_BACKDATED = timedelta(minutes=5)  # clocks of machines differ a little


class KeyMaterial(NamedTuple):
    """A new key. `certificate` is set for an authority."""

    id: str
    public_key: bytes
    private_key: bytes
    certificate: bytes = b""


class DeliveredKey(Protocol):
    """The message SigningKey."""

    id: str
    purpose: str
    private_key: bytes
    certificate: bytes
    signs: bool


def make_key(purpose: str, now_us: int) -> KeyMaterial:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    # As kube-apiserver names its keys.
    name = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    return KeyMaterial(
        name,
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        _authority(key, f"{_NAMES[purpose]}{name}", now_us) if purpose in _NAMES else b"",
    )


def _authority(key: ec.EllipticCurvePrivateKey, name: str, now_us: int) -> bytes:
    """Self-signed; its name holds the key's, so that no two authorities share one."""
    now = datetime.fromtimestamp(now_us / 1e6, UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class TokenSigner(NamedTuple):
    id: str
    key: ec.EllipticCurvePrivateKey


class Authority(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class KeyRing:
    """The keys of the newest map. Empty until the first one with keys has come."""

    def __init__(self) -> None:
        self.token_signer: TokenSigner | None = None
        self.authority: Authority | None = None
        self.front_proxy: Authority | None = None
        self.front_proxy_authorities = b""  # PEM of all that may have signed, the one that signs among them
        self.certificate_authorities = b""  # as those, of clients' certificates
        self.token_keys: frozenset[str] = frozenset()  # ids of those whose tokens are good

    def take(self, keys: Iterable[DeliveredKey]) -> None:
        """Replace all keys by these."""
        found = list(keys)
        self.token_keys = frozenset(key.id for key in found if key.purpose == TOKENS)
        signer = _signing(found, TOKENS)
        self.token_signer = TokenSigner(signer.id, _load(signer)) if signer is not None else None
        self.authority, self.front_proxy = _authority_of(found, CERTIFICATES), _authority_of(found, FRONT_PROXY)
        self.front_proxy_authorities = b"".join(k.certificate for k in found if k.purpose == FRONT_PROXY)
        self.certificate_authorities = b"".join(k.certificate for k in found if k.purpose == CERTIFICATES)


def _signing(keys: Iterable[DeliveredKey], purpose: str) -> DeliveredKey | None:
    return next((key for key in keys if key.purpose == purpose and key.signs and key.private_key), None)


def _authority_of(keys: Iterable[DeliveredKey], purpose: str) -> Authority | None:
    found = _signing(keys, purpose)
    return None if found is None else Authority(x509.load_pem_x509_certificate(found.certificate), _load(found))


def _load(delivered: DeliveredKey) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(delivered.private_key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("a signing key is not an elliptic curve key")
    return key

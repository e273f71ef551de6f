"""The client certificate by which extension API servers know that a request comes through this installation.

Each logical cluster has one of its own, with a name of its own, which its ConfigMap extension-apiserver-authentication
gives as the only one to be believed: whoever registers somebody else's server in their logical cluster is nobody there.
Made when needed, kept in memory only.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kcpshard.credentials.keys import Authority, KeyRing

LIFE = timedelta(days=7)
_BACKDATED = timedelta(minutes=5)
_KEPT = 512


class _Made(NamedTuple):
    pair: bytes
    authority: x509.Certificate
    renewed_us: int  # from then on another one is made


class FrontProxyCertificates:
    def __init__(self, ring: KeyRing, now_us: Callable[[], int]) -> None:
        self._ring, self._now_us = ring, now_us
        self._kept: OrderedDict[int, _Made] = OrderedDict()

    def pair(self, cluster_id: int) -> bytes:
        """PEM of the certificate and its key; empty as long as there is no authority. About a millisecond if new."""
        authority = self._ring.front_proxy
        if authority is None:
            return b""
        now_us, found = self._now_us(), self._kept.get(cluster_id)
        if found is None or now_us >= found.renewed_us or found.authority != authority.certificate:
            pair = issue(authority, common_name(cluster_id), now_us)
            renewed_us = now_us + int(LIFE / 3 * 2 / timedelta(microseconds=1))
            found = self._kept[cluster_id] = _Made(pair, authority.certificate, renewed_us)
        self._kept.move_to_end(cluster_id)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found.pair


def common_name(cluster_id: int) -> str:
    return f"front-proxy-client-{cluster_id}"


def issue(authority: Authority, name: str, now_us: int) -> bytes:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.fromtimestamp(now_us // 1_000_000, UTC)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(min(now + LIFE, authority.certificate.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, *form
    )

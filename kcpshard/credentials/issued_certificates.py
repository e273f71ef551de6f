"""Client certificates for CertificateSigningRequests: what is asked is signed, and the incarnation added.

Which requests are signed at all is the controller's business. Subject and key are the request's; names in it
(subjectAltName) are kept, as kube-controller-manager's signer keeps them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from kcpshard.api.certificate_scope import EXTENSION_OID, encode_scope
from kcpshard.credentials.keys import Authority

LONGEST = timedelta(days=365)
SHORTEST = timedelta(minutes=10)
BACKDATED = timedelta(minutes=5)
_PLAIN_USES = frozenset({"digital signature", "key encipherment"})
_SHORT = timedelta(hours=8)  # a certificate for less is not made shorter by being backdated


def issue(
    authority: Authority, request: bytes, usages: Sequence[str], expiration_s: int | None, cluster_id: int, now_us: int
) -> bytes:
    """PEM. Raises ValueError for a request (PEM) that cannot be read or is not signed by its key."""
    asked = x509.load_pem_x509_csr(request)
    if not asked.is_signature_valid:
        raise ValueError("the signature of the certificate request is not valid")
    life = LONGEST if expiration_s is None else max(SHORTEST, min(LONGEST, timedelta(seconds=expiration_s)))
    now = datetime.fromtimestamp(now_us // 1_000_000, UTC)
    ends = now + (life if life < _SHORT else life - BACKDATED)
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority.certificate.subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(min(ends, authority.certificate.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(_scope(cluster_id), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    if not _PLAIN_USES.isdisjoint(usages):
        builder = builder.add_extension(_key_usage(usages), critical=True)
    for extension in asked.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, critical=False)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_usage(usages: Sequence[str]) -> x509.KeyUsage:
    signs, enciphers = "digital signature" in usages, "key encipherment" in usages
    return x509.KeyUsage(signs, False, enciphers, False, False, False, False, False, False)


def _scope(cluster_id: int) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(EXTENSION_OID), encode_scope(cluster_id))

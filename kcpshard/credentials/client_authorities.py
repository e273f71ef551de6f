"""What a logical cluster may register as certificate authorities of its clients. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kcpshard.api.certificate_scope import AUTHORITY_NAME
from kcpshard.api.client_authorities import MAX_BYTES, MAX_CERTIFICATES, MEMBER, certificates
from kcpshard.api.errors import FieldError, invalid, required

_FIELD = f"data[{MEMBER}]"
_LEAST_RSA_BITS = 2048
_SHOWN = "..."  # in the place of the certificates


def faults(data: Mapping[str, object], now: datetime) -> Iterator[FieldError]:
    """Of the `data` of the ConfigMap."""
    text = data.get(MEMBER)
    if not isinstance(text, str) or not text.strip():
        yield required(_FIELD, "certificates of authorities, PEM")
        return
    if len(text) > MAX_BYTES:
        yield invalid(_FIELD, _SHOWN, f"must have at most {MAX_BYTES} bytes")
        return
    try:
        found = [x509.load_der_x509_certificate(der) for der in certificates(text.encode())]
    except ValueError:
        yield invalid(_FIELD, _SHOWN, "must be certificates in PEM")
        return
    if not found:
        yield invalid(_FIELD, _SHOWN, "must be certificates in PEM")
    if len(found) > MAX_CERTIFICATES:
        yield invalid(_FIELD, _SHOWN, f"must have at most {MAX_CERTIFICATES} certificates")
        return
    subjects = [each.subject.public_bytes() for each in found]
    if len(set(subjects)) != len(subjects):
        yield invalid(_FIELD, _SHOWN, "must not have two certificates of one subject")
    for number, each in enumerate(found, 1):
        if fault := _fault(each, now):
            yield invalid(_FIELD, _SHOWN, f"certificate {number} {fault}")


def _fault(certificate: x509.Certificate, now: datetime) -> str:
    """Why it cannot be an authority; "" if it can."""
    try:
        names = [str(each.value) for each in certificate.subject]
        key = certificate.public_key()
        extensions = certificate.extensions
    except (ValueError, TypeError):
        return "cannot be read"
    if not names:
        return "has no subject"
    if any(name.startswith(AUTHORITY_NAME) for name in names):
        return f"must not call itself {AUTHORITY_NAME!r}"
    if certificate.not_valid_after_utc <= now:
        return "has expired"
    if not _may_sign(extensions):
        return "is no authority: it needs basicConstraints CA:TRUE, and keyCertSign where it has a keyUsage"
    if isinstance(key, rsa.RSAPublicKey):
        return "" if key.key_size >= _LEAST_RSA_BITS else f"has an RSA key of less than {_LEAST_RSA_BITS} bits"
    if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return ""
    return "has a key of another kind than RSA, ECDSA and Ed25519"


def _may_sign(extensions: x509.Extensions) -> bool:
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True

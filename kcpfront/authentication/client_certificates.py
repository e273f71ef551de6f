"""A client's verified certificate → identity: CN is the user, each O a group, as for kube-apiserver. Pure."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from kcpshard.api.requests import Identity
from kcpshard.api.service_accounts import AUTHENTICATED, CREDENTIAL_ID


def certificate_identity(der: bytes) -> Identity | None:
    """None for a certificate without a name; the TLS layer has verified it."""
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not names[0].value:
        return None
    groups = [str(o.value) for o in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    extra = {CREDENTIAL_ID: [f"X509SHA256={fingerprint}"]}
    return Identity(str(names[0].value), "", (*dict.fromkeys([*groups, AUTHENTICATED]),), extra)

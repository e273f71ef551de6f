"""A new certificate for a process that shows its present one: for the same role, name and hosts. Pure.

Nothing of what a certificate is good for is taken from the request; of that only the key is used.
"""

from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from kcpshard.bootstrap.authority import Authority, NewProcess, check_request, sign
from kcpshard.bootstrap.join_tokens import JoinRefused
from kcpshard.rpc.roles import ADMIN, ROLES


def renewed(authority: Authority, shown: bytes, request: bytes, now: datetime) -> bytes:
    """PEM. `shown` is the verified certificate of the connection (PEM), `request` a certificate request (PEM). Raises
    JoinRefused."""
    known = x509.load_pem_x509_certificate(shown)
    process = check_request(
        _only(known, NameOID.ORGANIZATIONAL_UNIT_NAME), _only(known, NameOID.COMMON_NAME), (), request
    )
    if process.role not in ROLES - {ADMIN}:
        raise JoinRefused(f"a certificate of {process.role or 'no role'} is not renewed")
    return sign(authority, NewProcess(process.role, process.name, _hosts(known), process.public_key), now)


def _only(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    if len(found) != 1:
        raise JoinRefused("the certificate of the connection does not name one process")
    return str(found[0].value)


def _hosts(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return ()

"""A client's verified certificate → identity: CN is the user, each O a group, as for kube-apiserver.

A certificate issued through a logical cluster (its issuer is one of the authorities that come with the shard map) names
the incarnation in an extension and is somebody there only, whatever its O. One that an authority has signed which a
logical cluster has registered is somebody there only, too. The TLS layer has verified the chain; which authority it was
is found out here, because that decides where the names mean something: it must have signed the certificate itself.
"""

import time
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from kcpfront.authentication.credential import Credential, credential
from kcpfront.authentication.tenant_authorities import Change, Registration, TenantAuthorities
from kcpshard.api.certificate_scope import AUTHORITY_NAME, EXTENSION_OID, decode_scope
from kcpshard.api.proofs import Proof
from kcpshard.api.requests import Identity
from kcpshard.api.service_accounts import AUTHENTICATED, CREDENTIAL_ID

# When full the cache is emptied: 200 µs to rebuild one.
MAX_CERTIFICATES = 4_096


class IssuingKey(Protocol):
    """The message SigningKey."""

    purpose: str
    certificate: bytes


class ClientCertificates:
    """Identities by certificate (DER)."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._authorities: tuple[x509.Certificate, ...] = ()
        self._client_authorities: tuple[x509.Certificate, ...] = ()
        self._known: dict[bytes, Credential] = {}
        self.tenants = TenantAuthorities()
        self._known_to_tenants: dict[tuple[bytes, str], Credential] = {}

    def take_keys(self, keys: Iterable[IssuingKey]) -> None:
        """Replace the authorities for certificates of logical clusters."""
        pems = [key.certificate for key in keys if key.purpose == "certificates" and key.certificate]
        found = tuple(x509.load_pem_x509_certificate(pem) for pem in pems)
        if found != self._authorities:
            self._authorities = found
            self._known.clear()

    def take_client_authorities(
        self, found: Iterable[x509.Certificate], others: Iterable[x509.Certificate] = ()
    ) -> None:
        """Replace the authorities whose certificates are identities of the installation. `others` are of the
        installation too, for other purposes: no tenant's counts under one of these names."""
        self._client_authorities = tuple(found)
        self.tenants.reserve((*self._client_authorities, *others))
        self._known.clear()
        self._known_to_tenants.clear()

    def take_tenants(self, shard: int, told: Iterable[Registration], named: AbstractSet[str] | None) -> Change:
        """What a shard says of authorities that logical clusters have registered; `named`: these are all."""
        change = self.tenants.take(shard, told)
        if named is not None:
            rest = self.tenants.complete(shard, named)
            change = Change((*change.fresh, *rest.fresh), change.lost or rest.lost)
        self._known_to_tenants.clear()
        return change

    def prove(self, der: bytes, path: str) -> Credential | None:
        """In the logical cluster of that path. None: it is nobody's. Expiry was looked at when the connection was made,
        as in kube-apiserver; of a tenant's authority it is looked at each time."""
        found = self._known.get(der)
        if found is not None:
            return found
        found = self._known_to_tenants.get((der, path))
        if found is not None and self._now_s() < found.expires_s:
            return found
        certificate = x509.load_der_x509_certificate(der)
        found = self._read(certificate)
        if found is not None:
            if len(self._known) >= MAX_CERTIFICATES:
                self._known.clear()
            self._known[der] = found
            return found
        found = self._read_tenants(certificate, path)
        if found is not None:
            if len(self._known_to_tenants) >= MAX_CERTIFICATES:
                self._known_to_tenants.clear()
            self._known_to_tenants[der, path] = found
        return found

    def _read(self, certificate: x509.Certificate) -> Credential | None:
        """Of an authority of the installation."""
        if not _is_of_logical_cluster(certificate):
            if not is_signed_by(certificate, self._client_authorities):
                return None
            identity = certificate_identity(certificate)
            return credential(identity) if identity is not None else None
        scope = _scope_of(certificate)
        identity = certificate_identity(certificate, scope)
        if not scope or identity is None or not is_signed_by(certificate, self._authorities):
            return None
        return credential(identity, Proof(scope).encode())

    def _read_tenants(self, certificate: x509.Certificate, path: str) -> Credential | None:
        if _is_of_logical_cluster(certificate):
            return None
        signer = self.tenants.signer(certificate, datetime.fromtimestamp(self._now_s(), UTC))
        proof = self.tenants.proof(path, signer[0]) if signer is not None else None
        if signer is None or proof is None:
            return None
        identity = certificate_identity(certificate, proof.cluster)
        return credential(identity, proof.encode(), signer[1].timestamp()) if identity is not None else None


def _is_of_logical_cluster(certificate: x509.Certificate) -> bool:
    """By the name of the issuer, and not by whether we have it: one that is gone must not count as the client CA."""
    names = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return any(str(name.value).startswith(AUTHORITY_NAME) for name in names)


def is_signed_by(certificate: x509.Certificate, authorities: Iterable[x509.Certificate]) -> bool:
    return any(_has_signed(each, certificate) for each in authorities)


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _scope_of(certificate: x509.Certificate) -> int:
    try:
        found = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(EXTENSION_OID)).value
    except (x509.ExtensionNotFound, ValueError):
        return 0
    return decode_scope(found.value) if isinstance(found, x509.UnrecognizedExtension) else 0


def certificate_identity(certificate: x509.Certificate, scope: int = 0) -> Identity | None:
    """None for a certificate without a name."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not names[0].value:
        return None
    groups = [str(o.value) for o in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    extra = {CREDENTIAL_ID: [f"X509SHA256={fingerprint}"]}
    return Identity(str(names[0].value), "", (*dict.fromkeys([*groups, AUTHENTICATED]),), extra, scope)

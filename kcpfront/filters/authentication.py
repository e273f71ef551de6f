"""Who asks: static tokens and client certificates → identity bytes, one object per credential.

A front proves possession; whether an identity may do something is the shard's business. Other proofs (service account
tokens, OIDC, webhooks) join here as further authenticators.
"""

import csv
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from kcpfront.exchange import Exchange
from kcpshard.api.errors import Unauthorized
from kcpshard.api.requests import Identity

_AUTHENTICATED = "system:authenticated"
# What anybody may ask without saying who they are: probes and the first step of a client.
_OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
_OPEN_PREFIXES = ("/healthz/", "/livez/", "/readyz/")
_MAX_CERTIFICATES = (
    4_096  # identities remembered per certificate; when full the cache is emptied (100 µs to rebuild one)
)


class TokenFileError(Exception):
    """The token file cannot be used; the text says where and why."""


def read_token_lines(lines: Iterable[str]) -> dict[bytes, Identity]:
    """SHA-256 of each token → identity, from kube-apiserver's CSV: token,user,uid[,"group,group"]."""
    found: dict[bytes, Identity] = {}
    for number, row in enumerate(csv.reader(lines, skipinitialspace=True), 1):
        if not row or row[0].startswith("#"):
            continue
        if len(row) < 3:
            raise TokenFileError(f"line {number}: token, user and uid are needed, {len(row)} fields found")
        token, user, uid = (field.strip() for field in row[:3])
        if not token or not user:
            raise TokenFileError(f"line {number}: the token or the user is empty")
        groups = [g.strip() for g in row[3].split(",") if g.strip()] if len(row) > 3 else []
        found[_digest(token)] = Identity(user, uid, (*dict.fromkeys([*groups, _AUTHENTICATED]),))
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Authenticator:
    """Proves credentials. Tokens are kept as SHA-256 only; a lookup by digest tells an attacker nothing by its time,
    because a digest cannot be approached byte by byte; the final comparison is constant-time all the same."""

    def __init__(self, tokens: dict[bytes, Identity]) -> None:
        self._certificates: dict[bytes, bytes] = {}
        self.replace_tokens(tokens)

    def replace_tokens(self, tokens: dict[bytes, Identity]) -> None:
        """A changed token file: tokens that are gone are refused from now on."""
        self._tokens = tokens
        self._encoded = {digest: (digest, identity.encode()) for digest, identity in tokens.items()}

    def authenticate(self, exchange: Exchange) -> None:
        """Sets `exchange.identity`. Raises Unauthorized unless the path is open to everybody."""
        header = exchange.headers.get("Authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            identity = self._prove(token.strip()) if scheme.lower() == "bearer" else None
            if identity is None:  # a wrong credential is refused, also where none is needed
                raise Unauthorized("Unauthorized")
            exchange.identity = identity
            return
        certificate = exchange.certificate()
        if certificate is not None:
            exchange.identity = self._certificates.get(certificate) or self._read_certificate(certificate)
        elif not is_open(exchange.info.path):
            raise Unauthorized("Unauthorized")

    def _prove(self, token: str) -> bytes | None:
        digest = _digest(token)
        found = self._encoded.get(digest)
        return found[1] if found is not None and hmac.compare_digest(digest, found[0]) else None

    def _read_certificate(self, der: bytes) -> bytes:
        identity = certificate_identity(der)
        if identity is None:
            raise Unauthorized("Unauthorized")
        if len(self._certificates) >= _MAX_CERTIFICATES:
            self._certificates.clear()
        encoded = identity.encode()
        self._certificates[der] = encoded
        return encoded

    def review(self, token: str, audiences: list[str]) -> dict[str, Any]:
        """A TokenReviewStatus for `token`; static tokens are for the API server itself, whatever audience is asked."""
        identity = self._tokens.get(_digest(token)) if token else None
        if identity is None:
            return {"user": {}, "error": "invalid bearer token"} if token else {"user": {}}
        user: dict[str, Any] = {"username": identity.username, "groups": list(identity.groups)}
        if identity.uid:
            user["uid"] = identity.uid
        status: dict[str, Any] = {"authenticated": True, "user": user}
        if audiences:
            status["audiences"] = audiences
        return status


def certificate_identity(der: bytes) -> Identity | None:
    """CN is the user, each O a group, as for kube-apiserver; the TLS layer has verified the certificate."""
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not names[0].value:
        return None
    groups = [str(o.value) for o in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    extra = {"authentication.kubernetes.io/credential-id": [f"X509SHA256={fingerprint}"]}
    return Identity(str(names[0].value), "", (*dict.fromkeys([*groups, _AUTHENTICATED]),), extra)


def is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(_OPEN_PREFIXES)

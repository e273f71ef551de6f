"""Who asks: bearer tokens and client certificates → identity, and the proof that the shard must complete.

A front proves possession; whether an identity may do something is the shard's business. What a token proves is found by
`kcpfront.authentication`, kind by kind; a token proved before is found by its digest without waiting.
"""

import hmac
import time
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from kcpfront.authentication.client_certificates import ClientCertificates, IssuingKey
from kcpfront.authentication.credential import (
    ANONYMOUS_IDENTITY,
    Credential,
    InvalidToken,
    TokenProver,
    credential,
    digest,
)
from kcpfront.authentication.request_headers import RequestHeaders
from kcpfront.authentication.service_account_tokens import PublicKey, ServiceAccountTokens
from kcpfront.authentication.verified_tokens import VerifiedTokens
from kcpfront.exchange import Exchange
from kcpshard.api.errors import Unauthorized
from kcpshard.api.requests import Identity

# What anybody may ask without saying who they are: probes and the first step of a client.
_OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
_OPEN_PREFIXES = ("/healthz/", "/livez/", "/readyz/")


class SigningKey(PublicKey, IssuingKey, Protocol):
    """The message of that name."""


class Authenticator:
    """Proves credentials. Tokens are kept as SHA-256 only; a lookup by digest tells an attacker nothing by its time,
    because a digest cannot be approached byte by byte; the final comparison is constant-time all the same.

    `provers` are asked in this order after the static tokens and the service accounts'. With `anonymous` whoever shows
    no credential is system:anonymous, who may do what the logical cluster's RBAC says; without, they may probe only."""

    def __init__(
        self,
        tokens: dict[bytes, Identity],
        accounts: ServiceAccountTokens | None = None,
        provers: Sequence[TokenProver] = (),
        anonymous: bool = False,
        proxies: RequestHeaders | None = None,
    ) -> None:
        self.allow_anonymous(anonymous)
        self._proxies = proxies
        self.accounts = accounts or ServiceAccountTokens()
        self._provers: tuple[TokenProver, ...] = (self.accounts, *provers)
        self.certificates = ClientCertificates()
        self._verified = VerifiedTokens()
        self.replace_tokens(tokens)

    def replace_tokens(self, tokens: dict[bytes, Identity]) -> None:
        """A changed token file: tokens that are gone are refused from now on."""
        self._static = {key: (key, credential(identity)) for key, identity in tokens.items()}

    def allow_anonymous(self, allowed: bool, paths: frozenset[str] | None = None) -> None:
        """`paths` None: everywhere."""
        self._anonymous = ANONYMOUS_IDENTITY if allowed else b""
        self._anonymous_paths = paths

    def forget(self) -> None:
        """Who vouches for tokens has changed."""
        self._verified.clear()

    def take_keys(self, keys: Sequence[SigningKey]) -> None:
        """The signing keys of the newest shard map."""
        self.certificates.take_keys(keys)
        if self.accounts.take_keys(keys):
            self._verified.clear()

    def authenticate(self, exchange: Exchange) -> Awaitable[None] | None:
        """Sets `exchange.identity` and `exchange.proof`; what has to wait for that is returned. Raises Unauthorized: a
        wrong credential is refused, also where none is needed."""
        header = exchange.headers.get("Authorization")
        # First, as in kube-apiserver: what else a proxy's request carries is the proxy's business.
        if self._proxies is not None and (certificate := exchange.certificate()) is not None:
            told = self._proxies.prove(certificate, exchange.headers)
            if told is not None:
                exchange.identity = told.identity
                return None
        if header is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise _refused()
            token = token.strip()
            key = digest(token)
            found = self._remembered(key)
            if found is None:
                return self._prove(exchange, token, key)
            exchange.identity, exchange.proof = found.identity, found.proof
            return None
        certificate = exchange.certificate()
        if certificate is not None:
            proved = self.certificates.prove(certificate, exchange.info.cluster)
            if proved is None:
                raise _refused()
            exchange.identity, exchange.proof = proved.identity, proved.proof
        else:
            if self._anonymous_paths is None or exchange.info.path in self._anonymous_paths:
                exchange.identity = self._anonymous
            if not exchange.identity and not is_open(exchange.info.path):
                raise _refused()
        return None

    def _remembered(self, key: bytes) -> Credential | None:
        found = self._static.get(key)
        if found is not None:
            return found[1] if hmac.compare_digest(key, found[0]) else None
        return self._verified.find(key, time.time())

    async def _prove(self, exchange: Exchange, token: str, key: bytes) -> None:
        found, _ = await self._ask(token, self.accounts.audiences)
        if found is None:
            raise _refused()
        self._verified.add(key, found, time.time())
        exchange.identity, exchange.proof = found.identity, found.proof

    async def _ask(self, token: str, audiences: Sequence[str]) -> tuple[Credential | None, list[str]]:
        """What the first kind says that accepts it, else why none does."""
        faults = []
        for prover in self._provers if token else ():
            try:
                found = await prover.prove(token, audiences)
            except InvalidToken as fault:
                faults.append(str(fault))
            else:
                if found is not None:
                    return found, []
        return None, faults

    async def review(self, token: str, audiences: Sequence[str]) -> dict[str, Any]:
        """A TokenReviewStatus for `token`, with a member `proof` where the shard has to complete it. Tokens that name
        no audience are for the API server itself, whatever audience is asked."""
        wanted = tuple(audiences) or self.accounts.audiences
        static = self._static.get(digest(token)) if token else None
        found, faults = (static[1], []) if static is not None else await self._ask(token, wanted)
        if found is None:
            return _refusal(faults) if token else {"user": {}}
        meant = wanted if found.audiences is None else [each for each in wanted if each in found.audiences]
        status: dict[str, Any] = {"authenticated": True, "user": _user(found.user), "audiences": list(meant)}
        if found.proof:
            status["proof"] = found.proof.decode()
        return status


def _refusal(faults: Sequence[str]) -> dict[str, Any]:
    error = "invalid bearer token"
    return {"user": {}, "error": f"[{error}, {', '.join(faults)}]" if faults else error}


def _user(identity: Identity) -> dict[str, Any]:
    found: dict[str, Any] = {
        "username": identity.username,
        "uid": identity.uid,
        "groups": list(identity.groups),
        "extra": {key: list(values) for key, values in identity.extra.items()},
    }
    return {member: value for member, value in found.items() if value}


def _refused() -> Unauthorized:
    return Unauthorized("Unauthorized")


def is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(_OPEN_PREFIXES)

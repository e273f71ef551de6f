"""Tokens of service accounts: their claims and their signature. Which token may be made is `verbs.token_request`'s."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jwt

from kcpshard.api import service_accounts as names
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.credentials.keys import Authority, KeyRing

ALGORITHM = "ES256"
MAX_EXPIRATION_S = 365 * 86_400  # keys are forgotten a good year after they last signed


class Reference(NamedTuple):
    """An object that a token names."""

    name: str
    uid: str


class Subject(NamedTuple):
    """Whose token, and what else must exist for it to be worth something: `bound` by kind (pod, secret, node)."""

    namespace: str
    account: Reference
    bound: Mapping[str, Reference] = {}


class TokenIssuer:
    """`audiences` are those of the API server itself, which a request gets that names none."""

    def __init__(self, keys: KeyRing, issuer: str = names.DEFAULT_ISSUER, audiences: Sequence[str] = ()) -> None:
        self._keys = keys
        self.issuer = issuer
        self.audiences = tuple(audiences) or (issuer,)

    @property
    def authority(self) -> Authority | None:
        """What certificates are signed with; None until there is one."""
        return self._keys.authority

    def knows(self, key_id: str) -> bool:
        """Whether what that key has signed is still good."""
        return key_id in self._keys.token_keys

    def issue(
        self,
        cluster_id: int,
        subject: Subject,
        audiences: Sequence[str],
        now_s: int,
        expiration_s: int,
        warn_after_s: int = 0,
    ) -> str:
        """A signed token. Raises ServiceUnavailable while there is no key."""
        claims = _claims(subject, warn_after_s and now_s + warn_after_s)
        claims |= {
            "iss": self.issuer,
            "aud": list(audiences),
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + expiration_s,
            "jti": str(uuid.uuid4()),
            names.SCOPE_CLAIM: {names.SCOPE_ID: str(cluster_id)},
        }
        return self._sign(claims)

    def issue_legacy(self, cluster_id: int, subject: Subject, secret: str) -> str:
        """The token that is kept in a Secret of that name: it does not expire."""
        claims = {
            f"{names.LEGACY_CLAIM}namespace": subject.namespace,
            f"{names.LEGACY_CLAIM}secret.name": secret,
            f"{names.LEGACY_CLAIM}service-account.name": subject.account.name,
            f"{names.LEGACY_CLAIM}service-account.uid": subject.account.uid,
            "iss": names.LEGACY_ISSUER,
            "sub": names.username(subject.namespace, subject.account.name),
            names.SCOPE_CLAIM: {names.SCOPE_ID: str(cluster_id)},
        }
        return self._sign(claims)

    def _sign(self, claims: dict[str, Any]) -> str:
        signer = self._keys.token_signer
        if signer is None:
            raise ServiceUnavailable("there is no key to sign tokens with yet", retry_after_s=1)
        return jwt.encode(claims, signer.key, ALGORITHM, {"kid": signer.id, "typ": None})


def _claims(subject: Subject, warn_after: int) -> dict[str, Any]:
    ours: dict[str, Any] = {"namespace": subject.namespace, "serviceaccount": subject.account._asdict()}
    ours |= {kind: reference._asdict() for kind, reference in subject.bound.items()}
    if warn_after:
        ours["warnafter"] = warn_after
    return {"sub": names.username(subject.namespace, subject.account.name), names.KUBERNETES_CLAIM: ours}


def token_id(token: str) -> str:
    """The claim `jti` of a token that has just been issued."""
    found: str = jwt.decode(token, options={"verify_signature": False})["jti"]
    return found

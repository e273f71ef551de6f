"""Tokens of service accounts: signature, expiry, issuer and audience. That account and bound object still exist is
for the shard to prove; which ones these are the proof says.

Keys come with the shard map, each some seconds before anything is signed with it. So a key that is not known here is
nobody's, but for a front that may have missed the newest map: there the token waits a moment for it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kcpfront.authentication.credential import Credential, InvalidToken, credential, digest
from kcpshard.api import service_accounts as names
from kcpshard.api.proofs import ClaimedObject, Proof, StoredToken
from kcpshard.api.requests import Identity

KEY_WAIT_S = 2.0
_MAX_WAITING = 64  # tokens with unknown keys at the same time; more are refused at once
# As kube-apiserver: clocks differ.
_LEEWAY_S = 60
_ALGORITHMS = ["ES256"]
_BOUND = {"pod": "pods", "secret": "secrets", "node": "nodes"}


class PublicKey(Protocol):
    """The message SigningKey."""

    id: str
    purpose: str
    public_key: bytes


class ServiceAccountTokens:
    """A TokenProver. Set `is_behind` to what says whether the newest map may not have come yet."""

    def __init__(self, issuer: str = names.DEFAULT_ISSUER, audiences: Sequence[str] = ()) -> None:
        self.issuer = issuer
        self.audiences = tuple(audiences) or (issuer,)
        self.keys: dict[str, ec.EllipticCurvePublicKey] = {}
        self._changed = asyncio.Event()
        self._waiting = 0
        self.is_behind: Callable[[], bool] = lambda: False

    def take_keys(self, keys: Iterable[PublicKey]) -> bool:
        """Replace all keys; whether any is gone, so that what it proved must be forgotten."""
        before = self.keys.keys()
        found = {key.id: load_pem_public_key(key.public_key) for key in keys if key.purpose == "tokens"}
        self.keys = {id_: key for id_, key in found.items() if isinstance(key, ec.EllipticCurvePublicKey)}
        self._changed.set()
        self._changed = asyncio.Event()
        return bool(before - self.keys.keys())

    async def prove(self, token: str, audiences: Sequence[str]) -> Credential | None:
        header, issuer = _peek(token)
        if header is None or issuer not in (self.issuer, names.LEGACY_ISSUER):
            return None
        key = self.keys.get(header) or await self._wait_for(header)
        claims = _verified(token, key)
        scope = names.scope_of(claims)
        if not scope:
            raise InvalidToken("service account token names no logical cluster")
        if issuer == names.LEGACY_ISSUER:
            return self._legacy(token, claims, scope)
        _check_audience(claims.get("aud"), audiences)
        return _bound(claims, scope)

    async def _wait_for(self, key_id: str) -> ec.EllipticCurvePublicKey:
        if self._waiting < _MAX_WAITING and self.is_behind():
            self._waiting += 1
            try:
                async with asyncio.timeout(KEY_WAIT_S):
                    while key_id not in self.keys:
                        await self._changed.wait()
                return self.keys[key_id]
            except TimeoutError:
                pass
            finally:
                self._waiting -= 1
        raise InvalidToken("service account token is signed with an unknown key")

    def _legacy(self, token: str, claims: dict[str, Any], scope: int) -> Credential:
        """Of a token that a Secret holds; it is for the API server, whatever audience is asked, as in Kubernetes."""
        found = [claims.get(f"{names.LEGACY_CLAIM}{member}") for member in _LEGACY_MEMBERS]
        if not all(isinstance(value, str) and value for value in found):
            raise InvalidToken("service account token has broken claims")
        namespace, secret, name, uid = map(str, found)
        user = Identity(names.username(namespace, name), uid, names.groups(namespace), {}, scope)
        proof = Proof(
            scope,
            (ClaimedObject("serviceaccounts", namespace, name, uid),),
            StoredToken(namespace, secret, digest(token).hex()),
        )
        return credential(user, proof.encode())


_LEGACY_MEMBERS = ("namespace", "secret.name", "service-account.name", "service-account.uid")


def _peek(token: str) -> tuple[str | None, str]:
    """The key's id and the issuer as the token claims them; (None, "") for what is no such token."""
    if token.count(".") != 2:
        return None, ""
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None, ""
    key_id, issuer = header.get("kid"), claims.get("iss")
    return (key_id, issuer) if isinstance(key_id, str) and isinstance(issuer, str) else (None, "")


def _verified(token: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    options: Any = {"verify_aud": False, "verify_iat": False, "verify_sub": False, "verify_jti": False}
    try:
        found: dict[str, Any] = jwt.decode(token, key, algorithms=_ALGORITHMS, leeway=_LEEWAY_S, options=options)
    except jwt.ExpiredSignatureError:
        raise InvalidToken("service account token has expired") from None
    except jwt.ImmatureSignatureError:
        raise InvalidToken("service account token is not valid yet") from None
    except jwt.InvalidTokenError:
        raise InvalidToken("service account token has a wrong signature") from None
    return found


def _check_audience(given: object, wanted: Sequence[str]) -> None:
    meant = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    if not set(wanted).intersection(filter(lambda each: isinstance(each, str), meant)):
        shown, asked = _quoted(meant), _quoted(wanted)
        raise InvalidToken(f"token audiences {shown} is invalid for the target audiences {asked}")


def _quoted(values: Sequence[object]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def _bound(claims: dict[str, Any], scope: int) -> Credential:
    try:
        ours = claims[names.KUBERNETES_CLAIM]
        namespace = ours["namespace"]
        account = _reference(ours["serviceaccount"])
        bound = {kind: _reference(ours[kind]) for kind in _BOUND if ours.get(kind)}
        expires, audiences = float(claims["exp"]), claims["aud"]
    except (KeyError, TypeError, ValueError):
        raise InvalidToken("service account token has broken claims") from None
    user = Identity(
        names.username(namespace, account[0]),
        account[1],
        names.groups(namespace),
        _extra(claims.get("jti"), bound),
        scope,
    )
    objects = [ClaimedObject("serviceaccounts", namespace, *account)]
    for kind, (name, uid) in bound.items():
        if kind != "node":
            objects.append(ClaimedObject(_BOUND[kind], namespace, name, uid))
        elif "pod" not in bound:  # a pod's node is only told of
            objects.append(ClaimedObject("nodes", "", name, uid))
    meant = (audiences,) if isinstance(audiences, str) else tuple(audiences)
    return credential(user, Proof(scope, tuple(objects)).encode(), expires + _LEEWAY_S, meant)


def _reference(value: dict[str, str]) -> tuple[str, str]:
    return value["name"], value.get("uid", "")


def _extra(jti: object, bound: dict[str, tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if isinstance(jti, str) and jti:
        found[names.CREDENTIAL_ID] = [f"JTI={jti}"]
    for kind in ("node", "pod"):
        if kind in bound:
            name, uid = bound[kind]
            found[f"{names.EXTRA}{kind}-name"] = [name]
            if uid:
                found[f"{names.EXTRA}{kind}-uid"] = [uid]
    return found

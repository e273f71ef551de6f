"""A provider's public keys (a JSON Web Key Set) and what they verify. Pure: the time is given.

Asymmetric signatures only: a key that is public must never be taken for the secret of an HMAC, and which algorithm a
key is for is the key's to say, not the token's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kcpfront.authentication.credential import InvalidToken

MAX_KEYS = 64  # more are not looked at
# Smaller RSA keys are broken; larger ones cost every stranger's token milliseconds.
_RSA_BITS = range(2048, 8193)
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
ALGORITHMS = frozenset((*_RSA, "ES256", "ES384", "ES512"))
# As kube-apiserver's verifier: an expiry is meant, a beginning is forgiven clocks that differ.
_NOT_BEFORE_LEEWAY_S = 300.0


class Key(NamedTuple):
    id: str  # "" where the set names none
    algorithms: tuple[str, ...]
    public: Any


def read_key_set(document: object) -> Sequence[Key]:
    """The usable keys of a set; those of kinds not known here are passed over. Raises ValueError if it is no set."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is no JSON Web Key Set")
    found = (_key(entry) for entry in entries[:MAX_KEYS] if isinstance(entry, dict))
    return tuple(key for key in found if key is not None)


def _key(entry: Mapping[str, Any]) -> Key | None:
    if entry.get("kty") not in ("RSA", "EC") or entry.get("use", "sig") != "sig":
        return None
    try:
        public = jwt.PyJWK({name: entry[name] for name in entry if name != "alg"}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    algorithms: tuple[str, ...] = ()
    if isinstance(public, RSAPublicKey) and public.key_size in _RSA_BITS:
        algorithms = _RSA
    elif isinstance(public, EllipticCurvePublicKey):
        algorithms = _CURVES.get(public.curve.name, ())
    if (only := entry.get("alg")) is not None:
        algorithms = tuple(each for each in algorithms if each == only)
    id_ = entry.get("kid", "")
    return Key(id_, algorithms, public) if algorithms and isinstance(id_, str) else None


class Header(NamedTuple):
    """What a token says of itself before anything is proved."""

    issuer: str
    key_id: str
    algorithm: str


def peek(token: str) -> Header | None:
    """None for what is no signed JSON web token with an issuer."""
    if token.count(".") != 2:
        return None
    try:
        header = jwt.get_unverified_header(token)
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.PyJWTError:
        return None
    key_id, algorithm = header.get("kid", ""), header.get("alg")
    if not (isinstance(issuer, str) and isinstance(key_id, str) and isinstance(algorithm, str)):
        return None
    return Header(issuer, key_id, algorithm)


def candidates(keys: Sequence[Key], header: Header) -> Sequence[Key]:
    """Those that may have signed; a token that names no key is tried with all."""
    return [
        key for key in keys if header.algorithm in key.algorithms and (not header.key_id or key.id == header.key_id)
    ]


_OPTIONS: Any = {
    f"verify_{name}": False for name in ("aud", "exp", "nbf", "iat", "iss", "sub", "jti")
}  # looked at below, by the given time


def verified_claims(token: str, keys: Sequence[Key], header: Header, now_s: float) -> dict[str, Any]:
    """Claims whose signature and times hold. Raises InvalidToken."""
    for key in keys:
        try:
            claims: dict[str, Any] = jwt.decode(token, key.public, algorithms=[header.algorithm], options=_OPTIONS)
        except jwt.PyJWTError:
            continue
        _check_times(claims, now_s)
        if not isinstance(claims.get("sub") or "", str) or not _is_number(claims.get("iat") or 0):
            raise InvalidToken("oidc: verify token: a claim of the standard is of another type")
        return claims
    raise InvalidToken("oidc: verify token: failed to verify id token signature")


def _check_times(claims: Mapping[str, Any], now_s: float) -> None:
    expires, begins = claims.get("exp"), claims.get("nbf")
    if expires is None or not _is_number(expires):
        raise InvalidToken("oidc: verify token: the token has no expiry")
    if expires <= now_s:
        raise InvalidToken("oidc: verify token: token is expired")
    if begins is not None and (not _is_number(begins) or begins > now_s + _NOT_BEFORE_LEEWAY_S):
        raise InvalidToken("oidc: verify token: token is not valid yet")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Join tokens: `<id>.<secret>.<SHA-256 of the internal CA's certificate>`, and whether one may be used. Pure.

The id finds the record, the secret proves the holder (only its hash is kept), and the digest lets the holder recognise
the installation before it says the secret. The secret has 256 random bits, so a plain hash is enough.
"""

import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

JOIN_ROLES = ("front", "shard")


class JoinRefused(Exception):
    """The text may be told to whoever asks: it does not help to guess."""


class JoinToken(NamedTuple):
    """What the installation keeps of a token."""

    secret_digest: str
    roles: tuple[str, ...]
    expires: str  # ISO 8601, UTC
    reusable: bool = False
    used_by: str = ""  # of a one-time token: digest of the key that used it, which may ask again


class TokenText(NamedTuple):
    """A token as its holder has it."""

    id: str
    secret: str
    authority_digest: str

    def __str__(self) -> str:
        return ".".join(self)


def new_token(
    authority_digest: str, roles: tuple[str, ...], now: datetime, life: timedelta, *, reusable: bool
) -> tuple[TokenText, JoinToken]:
    """The text to hand out, once, and the record to keep under its id."""
    if not roles or not set(roles) <= set(JOIN_ROLES):
        raise ValueError(f"a join token is for {' or '.join(JOIN_ROLES)}")
    text = TokenText(secrets.token_hex(4), secrets.token_urlsafe(32), authority_digest)
    expires = (now + life).isoformat(timespec="seconds")
    return text, JoinToken(_digest(text.secret), roles, expires, reusable)


def parse_token(text: str) -> TokenText:
    """Raises JoinRefused for what is not a token."""
    parts = text.strip().split(".")
    if len(parts) != 3 or not all(parts) or len(parts[2]) != 64:
        raise JoinRefused("this is not a join token: it has the form <id>.<secret>.<SHA-256 of the authority>")
    return TokenText(*parts)


def redeem(tokens: Mapping[str, JoinToken], text: TokenText, role: str, key_digest: str, now: datetime) -> JoinToken:
    """The record as it is after this use. Raises JoinRefused."""
    record = tokens.get(text.id)
    # The same work for an unknown id; who guessed an id learns nothing before he has the secret.
    known = record.secret_digest if record else _digest("")
    if not hmac.compare_digest(known, _digest(text.secret)) or record is None:
        raise JoinRefused("the join token is not valid")
    if datetime.fromisoformat(record.expires) <= now:
        raise JoinRefused("the join token has expired")
    if role not in record.roles:
        raise JoinRefused(f"the join token is for {' or '.join(record.roles)}, not for {role}")
    if record.used_by and record.used_by != key_digest:
        raise JoinRefused("the join token has been used")
    return record if record.reusable else record._replace(used_by=key_digest)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()

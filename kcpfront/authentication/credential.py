"""What every kind of credential comes to: an identity, what the shard must still prove of it, and for how long."""

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from kcpshard.api.requests import Identity
from kcpshard.api.service_accounts import AUTHENTICATED

ANONYMOUS = Identity("system:anonymous", "", ("system:unauthenticated",))
ANONYMOUS_IDENTITY = ANONYMOUS.encode()


class Credential(NamedTuple):
    """`identity` is `user` encoded, one object per credential. `audiences` None: good for any that is asked."""

    user: Identity
    identity: bytes
    proof: bytes = b""
    expires_s: float = math.inf  # seconds since the epoch
    audiences: tuple[str, ...] | None = None


def credential(
    user: Identity, proof: bytes = b"", expires_s: float = math.inf, audiences: tuple[str, ...] | None = None
) -> Credential:
    return Credential(user, user.encode(), proof, expires_s, audiences)


class InvalidToken(Exception):
    """The token is of this kind and worth nothing. The text may be shown to whoever asked for a review: it names
    neither the token nor a secret."""


class TokenProver(Protocol):
    """One kind of bearer token."""

    async def prove(self, token: str, audiences: Sequence[str]) -> Credential | None:
        """None: a token of another kind. Raises InvalidToken. `audiences` is never empty: one of them must be meant."""


def digest(token: str) -> bytes:
    """SHA-256: under this tokens are remembered, so that none is kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def authenticated(user: Identity) -> Identity:
    """With the group of all who have said who they are, unless they say that they are nobody."""
    if user.username == ANONYMOUS.username or {AUTHENTICATED, *ANONYMOUS.groups}.intersection(user.groups):
        return user
    return user._replace(groups=(*user.groups, AUTHENTICATED))

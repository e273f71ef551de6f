"""Service accounts as users, and what their tokens say: names that shards write and fronts read. Pure.

A token has the claims that Kubernetes' tokens have, and one of ours: `kcp.io`, which names the incarnation of the
logical cluster in which the account lives. The account is nobody anywhere else.
"""

from collections.abc import Mapping
from typing import Any

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER = "kubernetes/serviceaccount"  # of tokens that are kept in Secrets
SCOPE_CLAIM, SCOPE_ID = "kcp.io", "cluster"  # a decimal string: many readers of JSON know no integers above 2^53
KUBERNETES_CLAIM = "kubernetes.io"
LEGACY_CLAIM = "kubernetes.io/serviceaccount/"  # a prefix there

AUTHENTICATED = "system:authenticated"
ALL_ACCOUNTS = "system:serviceaccounts"
_USER = "system:serviceaccount:"
EXTRA = "authentication.kubernetes.io/"
CREDENTIAL_ID = f"{EXTRA}credential-id"


def username(namespace: str, name: str) -> str:
    return f"{_USER}{namespace}:{name}"


def groups(namespace: str) -> tuple[str, ...]:
    return (ALL_ACCOUNTS, f"{ALL_ACCOUNTS}:{namespace}", AUTHENTICATED)


def parse_username(user: str) -> tuple[str, str] | None:
    """Namespace and name, None if it is not a service account's."""
    if not user.startswith(_USER):
        return None
    namespace, colon, name = user[len(_USER) :].partition(":")
    return (namespace, name) if colon and namespace and name and ":" not in name else None


def scope_of(claims: Mapping[str, Any]) -> int:
    """The incarnation that a token belongs to; 0 if it names none, which makes it nobody's."""
    ours = claims.get(SCOPE_CLAIM)
    text = ours.get(SCOPE_ID) if isinstance(ours, dict) else None
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20 else 0

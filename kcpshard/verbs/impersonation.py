"""Acting as somebody else: each part of who it shall be needs the right to `impersonate` it, decided here and now.

Whoever passes is, for everything that follows, the other one; audit records name both. What an impersonated identity is
worth ends with the logical cluster that let it be impersonated.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

import orjson

from kcpshard.api.errors import BadRequest
from kcpshard.api.requests import Identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.policy import AUTHENTICATED, UNAUTHENTICATED
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

ANONYMOUS = "system:anonymous"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_AUTHENTICATION = "authentication.k8s.io"


class Impersonating(Protocol):
    """The messages Request and StartWatch."""

    cluster: str
    identity: bytes
    impersonation: bytes

    def CopyFrom(self, other: Any) -> None: ...


M = TypeVar("M", bound=Impersonating)


def effective(shard: Shard, message: M) -> M:
    """The same message as from the impersonated identity. Raises Forbidden, Unauthorized, BadRequest."""
    path = message.cluster
    shard.ownership.check(path)
    cluster = shard.store.pending_cluster(path)
    wanted: Mapping[str, Any] = orjson.loads(message.impersonation)
    if not wanted.get("username"):
        raise BadRequest("requested impersonation without impersonating a user")
    for attributes in needed(wanted):
        shard.authorizer.check(cluster, path, message.identity, attributes)
    copy = type(message)()
    copy.CopyFrom(message)
    copy.identity, copy.impersonation = impersonated(wanted, cluster).encode(), b""
    return copy


def needed(wanted: Mapping[str, Any]) -> Iterator[Attributes]:
    """What the real user must be allowed, in kube-apiserver's order."""
    username = wanted["username"]
    account = _service_account(username)
    if account is not None:
        yield Attributes("impersonate", "", "v1", "serviceaccounts", "", *account)
    else:
        yield Attributes("impersonate", "", "v1", "users", name=username)
    for group in wanted.get("groups") or ():
        yield Attributes("impersonate", "", "v1", "groups", name=group)
    for key, values in (wanted.get("extra") or {}).items():
        for value in values:
            yield Attributes("impersonate", _AUTHENTICATION, "v1", "userextras", key, name=value)
    if uid := wanted.get("uid"):
        yield Attributes("impersonate", _AUTHENTICATION, "v1", "uids", name=uid)


def impersonated(wanted: Mapping[str, Any], cluster: LogicalCluster | None) -> Identity:
    username, groups = wanted["username"], list(wanted.get("groups") or ())
    account = _service_account(username)
    if account is not None and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"]
    if username == ANONYMOUS:
        if UNAUTHENTICATED not in groups:
            groups.append(UNAUTHENTICATED)
    elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
        groups.append(AUTHENTICATED)
    extra = {key: tuple(values) for key, values in (wanted.get("extra") or {}).items()}
    return Identity(username, wanted.get("uid") or "", tuple(groups), extra, cluster.id if cluster is not None else 0)


def _service_account(username: str) -> tuple[str, str] | None:
    """Namespace and name, if the user is a service account."""
    if not username.startswith(_SERVICE_ACCOUNT):
        return None
    namespace, colon, name = username.removeprefix(_SERVICE_ACCOUNT).partition(":")
    return (namespace, name) if colon and namespace and name and ":" not in name else None

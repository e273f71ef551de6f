"""Whether a credential is still worth something: the incarnation, the account, what the token is bound to.

Asked before every verb and watch of such a credential, so it is point reads only: an object found good is remembered by
its revision, per logical cluster, and looked at again when that changes. The pending state decides: what has been
deleted is gone at once.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from kcpshard.api.errors import Unauthorized
from kcpshard.api.proofs import BootstrapToken, ClaimedObject, Proof, StoredToken, decode_proof
from kcpshard.api.requests import Identity
from kcpshard.api.service_accounts import AUTHENTICATED
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.client_authorities import is_registered
from kcpshard.verbs.guests import guest
from kcpshard.verbs.shard import Shard

# As in Kubernetes: what is being deleted counts for another minute, so that a pod can say goodbye.
_GRACE_S = 60
_MAX_REMEMBERED = 1_024  # proofs per logical cluster; when full they are forgotten: to look again is 20 µs
_CACHE = "proofs"
_BOOTSTRAP_TYPE = "bootstrap.kubernetes.io/token"
_BOOTSTRAP_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")

SECRETS, KUBE_SYSTEM = "secrets", "kube-system"
_Remembered = dict[bytes, tuple[tuple[ClaimedObject, int], ...]]


def check_proof(shard: Shard, request: Any) -> None:
    """Of a Request or a StartWatch. Raises Unauthorized, NotOwned. May make its identity more precise (bootstrap
    tokens)."""
    identity = prove(shard, request.cluster, request.proof, request.identity)
    if identity:
        request.identity = identity


def prove(shard: Shard, path: str, raw: bytes, identity: bytes = b"") -> bytes:
    """The identity, if the shard knows it better, else nothing. With `identity`, as the front knows it, those who are
    at home in an ancestor are let in where that is inherited. Raises as check_proof does."""
    shard.ownership.check(path)
    cluster = shard.store.pending_cluster(path)
    if cluster is None:
        raise _refused()
    remembered = cluster.cached.get(_CACHE)
    if isinstance(remembered, dict):
        found = remembered.get(raw)
        if found is not None and _is_unchanged(shard, cluster, found):
            return b""
    return _look(shard, cluster, raw, identity)


def _is_unchanged(shard: Shard, cluster: LogicalCluster, found: tuple[tuple[ClaimedObject, int], ...]) -> bool:
    pending = shard.store.pending
    for (resource, namespace, name, _), revision in found:
        value = pending(cluster, resource, namespace, name)
        if value is None or envelope.revision(value) != revision:
            return False
    return True


def _look(shard: Shard, cluster: LogicalCluster, raw: bytes, identity: bytes) -> bytes:
    try:
        proof = decode_proof(raw)
    except (ValueError, TypeError):
        raise _refused() from None
    if proof.cluster and proof.cluster != cluster.id:
        known = guest(shard, cluster, proof, raw, identity, prove) if identity else None
        if known is None:
            raise _refused()
        return known
    if proof.bootstrap is not None:
        return _bootstrap_identity(shard, cluster, proof.bootstrap).encode()
    revisions = [_alive(shard, cluster, claimed) for claimed in proof.objects]
    if proof.authority:
        _check_authority(shard, cluster, proof)
    if proof.stored is not None:
        _check_stored(shard, cluster, proof.stored)
    elif all(revisions):
        _remember(cluster, raw, proof, revisions)
    return b""


def _remember(cluster: LogicalCluster, raw: bytes, proof: Proof, revisions: list[int]) -> None:
    cache: Any = cluster.cached.setdefault(_CACHE, {})
    remembered: _Remembered = cache
    if len(remembered) >= _MAX_REMEMBERED:
        remembered.clear()
    remembered[raw] = tuple(zip(proof.objects, revisions, strict=True))


def _alive(shard: Shard, cluster: LogicalCluster, claimed: ClaimedObject) -> int:
    """Its revision; 0 if it is being deleted, which the next request has to look at again."""
    value = shard.store.pending(cluster, claimed.resource, claimed.namespace, claimed.name)
    if value is None or envelope.uid(value) != claimed.uid:
        raise _refused()
    deleted = orjson.loads(envelope.body(value))["metadata"].get("deletionTimestamp")
    if not deleted:
        return envelope.revision(value)
    if shard.now_us() / 1e6 - _seconds(deleted) > _GRACE_S:
        raise _refused()
    return 0


def _check_stored(shard: Shard, cluster: LogicalCluster, stored: StoredToken) -> None:
    secret = _secret(shard, cluster, stored.namespace, stored.name)
    token = _member(secret or {}, "token")
    if not token or not _equal(token, stored.digest):
        raise _refused()


def _check_authority(shard: Shard, cluster: LogicalCluster, proof: Proof) -> None:
    """What was found is remembered by the revision of the registration, as that object's being there is."""
    resource, namespace, name, _ = proof.objects[0]
    value = shard.store.pending(cluster, resource, namespace, name)
    if value is None or not is_registered(value, proof.authority):
        raise _refused()


def _bootstrap_identity(shard: Shard, cluster: LogicalCluster, token: BootstrapToken) -> Identity:
    """As kube-apiserver reads the Secret; a token that does not say that it is for authentication is none."""
    secret = _secret(shard, cluster, KUBE_SYSTEM, f"bootstrap-token-{token.id}")
    if secret is None or secret.get("type") != _BOOTSTRAP_TYPE or secret["metadata"].get("deletionTimestamp"):
        raise _refused()
    is_good = (
        _equal(_member(secret, "token-secret"), token.digest)
        and _member(secret, "token-id") == token.id.encode()
        and _member(secret, "usage-bootstrap-authentication") == b"true"
        and not _is_expired(_member(secret, "expiration"), shard.now_us() / 1e6)
    )
    extra = [group for group in _member(secret, "auth-extra-groups").decode("utf-8", "replace").split(",") if group]
    if not is_good or not all(_BOOTSTRAP_GROUP.fullmatch(group) for group in extra):
        raise _refused()
    groups = dict.fromkeys(["system:bootstrappers", *sorted(extra), AUTHENTICATED])
    return Identity(f"system:bootstrap:{token.id}", "", (*groups,), {}, cluster.id)


def _is_expired(text: bytes, now_s: float) -> bool:
    if not text:
        return False
    try:
        return _seconds(text.decode()) <= now_s
    except ValueError:
        return True  # what cannot be read is not trusted


def _secret(shard: Shard, cluster: LogicalCluster, namespace: str, name: str) -> Mapping[str, Any] | None:
    value = shard.store.pending(cluster, SECRETS, namespace, name)
    found: Mapping[str, Any] | None = orjson.loads(envelope.body(value)) if value is not None else None
    return found


def _member(secret: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "")
    except (binascii.Error, ValueError):
        return b""


def _equal(value: bytes, digest: str) -> bool:
    return hmac.compare_digest(hashlib.sha256(value).hexdigest().encode(), digest.encode())


def _seconds(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _refused() -> Unauthorized:
    return Unauthorized("Unauthorized")

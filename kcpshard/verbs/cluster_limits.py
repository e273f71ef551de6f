"""What one logical cluster may hold and ask for, and whether a write stays within it.

The limits are the ConfigMap `kcp-limits` in kube-system of the logical cluster itself: there it is beside what it
limits, moves with it, and a tenant may read it. Only administrators of the installation may write it. What it does not
say is unlimited but for the defaults here, which are generous. Counts are the store's: O(1), of accepted writes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from kcpshard.api import client_authorities
from kcpshard.api.body_limit import body_too_large
from kcpshard.api.errors import Forbidden, RequestEntityTooLarge, TooManyRequests
from kcpshard.api.events import Commit
from kcpshard.api.requests import Request, decode_identity
from kcpshard.authorization.policy import MASTERS
from kcpshard.definitions.quantities import parse_quantity
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ObjectStore, Put
from kcpshard.verbs.client_authorities import check_write as check_authorities
from kcpshard.verbs.shard import Shard

CONFIG_MAPS, NAMESPACE, NAME = "configmaps", "kube-system", "kcp-limits"
_CACHED = "limits"  # key in LogicalCluster.cached


class Limits(NamedTuple):
    objects: int = 1_000_000
    bytes: int = 16 << 30  # of objects as they are stored, without the log
    objectBytes: int = 3 << 20  # of one object
    bodyBytes: int = 3 << 20  # of what a request sends, as JSON
    requests: int = 1_024  # in flight on its shard: waiting for a sync, a webhook, a worker, a turn
    watches: int = 16_384  # open on its shard
    weight: int = 100  # percent of the usual share of a loop's time, and of the turns of who waits for it


_DEFAULT = Limits()
_MOST_WEIGHT = 10_000


def limits_of(store: ObjectStore, cluster: LogicalCluster) -> Limits:
    found = cluster.cached.get(_CACHED)
    if type(found) is not Limits:
        found = _read(store.pending(cluster, CONFIG_MAPS, NAMESPACE, NAME))
        if cluster.born_in is None:  # of one that is being born, `follow` is not told in time
            cluster.cached[_CACHED] = found
    return found


def _read(value: bytes | None) -> Limits:
    """What cannot be read does not count: the default stands."""
    data = orjson.loads(envelope.body(value)).get("data") or {} if value is not None else {}
    found = {}
    for name in Limits._fields:
        try:
            found[name] = int(parse_quantity(data[name]).value)
        except (KeyError, ValueError, TypeError, AttributeError):
            continue
    if "weight" in found:
        found["weight"] = min(max(found["weight"], 1), _MOST_WEIGHT)
    return Limits(**found) if found else _DEFAULT


def follow(store: ObjectStore) -> None:
    """Forget what was read when it is written."""

    def see(commits: Sequence[Commit]) -> None:
        for commit in commits:
            for change in commit.changes:
                if change.name == NAME and change.group_resource == CONFIG_MAPS:
                    cluster = store.cluster_by_id(commit.cluster_id)
                    if cluster is not None:
                        cluster.cached.pop(_CACHED, None)

    store.on_commit(see)


def check_all(shard: Shard, cluster: LogicalCluster, request: Request, puts: Sequence[Put]) -> None:
    """As `check_write`, for what one commit stores."""
    objects = size = 0
    for put in puts:
        check_write(shard, cluster, request, put, objects, size)
        previous = shard.store.pending(cluster, put.group_resource, put.namespace, put.name) if len(puts) > 1 else None
        objects += previous is None
        size += len(put.json) - (0 if previous is None else len(previous))


def check_write(
    shard: Shard, cluster: LogicalCluster, request: Request, put: Put, objects: int = 0, stored_bytes: int = 0
) -> None:
    """Raise Forbidden, Invalid or RequestEntityTooLarge if the object must not be stored, beside so many more of the
    same commit."""
    if put.name == NAME:
        check_administrator(request, put.group_resource, put.namespace, put.name)
    elif put.name == client_authorities.NAME:
        check_authorities(shard, cluster, request, put)
    limits = limits_of(shard.store, cluster)
    size = len(put.json)
    if size > limits.objectBytes:
        raise RequestEntityTooLarge(
            f"Request entity too large: an object of this logical cluster may have {limits.objectBytes} bytes"
        )
    objects += cluster.objects
    stored_bytes += cluster.stored_bytes
    if objects < limits.objects and stored_bytes + size <= limits.bytes:
        return
    previous = shard.store.pending(cluster, put.group_resource, put.namespace, put.name)
    if previous is None and objects >= limits.objects:
        raise _exceeded(put, "objects", objects, limits.objects)
    grows = size > len(envelope.body(previous)) if previous is not None else True
    if grows and stored_bytes + size > limits.bytes:
        raise _exceeded(put, "bytes", stored_bytes, limits.bytes)


def check_body(store: ObjectStore, cluster: LogicalCluster | None, body: bytes) -> None:
    """Raise RequestEntityTooLarge if the logical cluster takes no such body."""
    limit = _DEFAULT.bodyBytes if cluster is None else limits_of(store, cluster).bodyBytes
    if len(body) > limit:
        raise body_too_large(limit)


def check_watch(store: ObjectStore, path: str, open_watches: int) -> None:
    """Raise TooManyRequests if the logical cluster may have no further watch."""
    cluster = store.pending_cluster(path)
    limits = limits_of(store, cluster) if cluster is not None else _DEFAULT
    if open_watches >= limits.watches:
        raise TooManyRequests("too many watches, please try again later.", retry_after_s=1)


def _exceeded(put: Put, what: str, used: int, limit: int) -> Forbidden:
    plural, _, group = put.group_resource.partition(".")
    text = f"the limit of this logical cluster is exceeded: {what}: used {used}, limited to {limit}"
    shown = f'{put.group_resource} "{put.name}" is forbidden: {text}'
    return Forbidden(shown, name=put.name, group=group, kind=plural)


def check_administrator(request: Request, group_resource: str, namespace: str, name: str) -> None:
    """Raise Forbidden if the object is the limits and the identity is not of the installation's administrators."""
    if (name, namespace, group_resource) != (NAME, NAMESPACE, CONFIG_MAPS):
        return
    identity = decode_identity(request.identity)
    if identity.scope or MASTERS not in identity.groups:
        text = f'configmaps "{NAME}" is forbidden: only administrators of the installation may change limits'
        raise Forbidden(text, name=NAME, kind=CONFIG_MAPS)

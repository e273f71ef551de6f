"""What a logical cluster hands down, as other shards ask for it: rights and definitions that it holds itself.

One document with an entity tag made of the objects' revisions: whoever has it already is told so at the price of a few
looks into the store. Only the system is answered.
"""

import hashlib
from collections.abc import Iterator

import orjson

from kcpshard.api.errors import PageNotFound
from kcpshard.api.requests import Answer, Request, decode_identity
from kcpshard.authorization.layer import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES
from kcpshard.authorization.policy import MASTERS
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ScanItem
from kcpshard.verbs.shard import Shard

PATH = "/inheritance"
TYPES = (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, CRDS)
_SLICE = 256


def inheritance(shard: Shard, request: Request, cluster: LogicalCluster | None) -> Answer:
    identity = decode_identity(request.identity)
    if MASTERS not in identity.groups or identity.scope:
        raise PageNotFound()
    found = {each: list(_own(shard, cluster, each)) for each in TYPES} if cluster is not None else {}
    tag = _tag(cluster, found)
    if tag == request.if_none_match:
        return Answer(304, b"", etag=tag)
    documents = {each: [orjson.Fragment(envelope.body(item.value)) for item in items] for each, items in found.items()}
    return Answer(200, orjson.dumps(documents), etag=tag)


def _own(shard: Shard, cluster: LogicalCluster, group_resource: str) -> Iterator[ScanItem]:
    """Accepted, durable or not: as rights are here."""
    after: tuple[str, str] | None = None
    while True:
        items = shard.store.scan_own(cluster, group_resource, after, _SLICE)
        yield from items
        if len(items) < _SLICE:
            return
        after = (items[-1].namespace, items[-1].name)


def _tag(cluster: LogicalCluster | None, found: dict[str, list[ScanItem]]) -> str:
    digest = hashlib.sha256(cluster.prefix if cluster is not None else b"")
    for group_resource, items in found.items():
        digest.update(group_resource.encode())
        for item in items:
            digest.update(item.value[:8])
    return f'"{digest.hexdigest()[:32]}"'

"""What a logical cluster hands down, as other shards ask for it: rights and definitions that it holds itself.

One document with an entity tag made of the objects' revisions. The tag is remembered until one of them changes: whoever
has the document already is told so at the price of a lookup. Only the system is answered.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import orjson

from kcpshard.api.errors import PageNotFound
from kcpshard.api.requests import Answer, Request, decode_identity
from kcpshard.authorization.policy import MASTERS
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ScanItem
from kcpshard.tenancy.standing import HANDED_DOWN
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.shard import Shard

PATH = "/inheritance"
_SLICE = 32  # definitions may be large
_UNBORN = '"unborn"'


def inheritance(shard: Shard, request: Request, cluster: LogicalCluster | None) -> Outcome:
    identity = decode_identity(request.identity)
    if MASTERS not in identity.groups or identity.scope:
        raise PageNotFound()
    tag = shard.standing.tag(cluster) if cluster is not None else _UNBORN
    if tag and tag == request.if_none_match:
        return Answer(304, b"", etag=tag)
    if cluster is None:
        return Answer(200, b"{}", etag=_UNBORN)
    return _gathered(shard, request, cluster)


async def _gathered(shard: Shard, request: Request, cluster: LogicalCluster) -> Answer:
    """Slice by slice. What changes meanwhile makes another tag the next time."""
    changes = shard.standing.changes(cluster)
    digest = hashlib.sha256(cluster.prefix)
    documents: dict[str, list[orjson.Fragment]] = {}
    for group_resource in HANDED_DOWN:
        digest.update(group_resource.encode())
        found = documents[group_resource] = []
        async for item in _own(shard, cluster, group_resource):
            digest.update(item.value[:8])
            found.append(orjson.Fragment(envelope.body(item.value)))
    tag = f'"{digest.hexdigest()[:32]}"'
    shard.standing.remember_tag(cluster, tag, changes)
    if tag == request.if_none_match:
        return Answer(304, b"", etag=tag)
    return Answer(200, orjson.dumps(documents), etag=tag)


async def _own(shard: Shard, cluster: LogicalCluster, group_resource: str) -> AsyncIterator[ScanItem]:
    """Accepted, durable or not: as rights are here."""
    after: tuple[str, str] | None = None
    while True:
        items = shard.store.scan_own(cluster, group_resource, after, _SLICE)
        for item in items:
            yield item
        if len(items) < _SLICE:
            return
        after = (items[-1].namespace, items[-1].name)
        await asyncio.sleep(0)
